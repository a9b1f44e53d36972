// Package install is `warren install` and `warren uninstall`: it puts the
// running binary and what belongs to it into a file system, and takes it out.
//
// What is installed is decided by a Layout, which knows no disk. Before
// anything is changed it is compared with what is there. A file that is not
// ours is reported, or moved away when the user says so. Then a manifest is
// written that says what will be done, the work is done, and the manifest is
// completed. So `uninstall` knows, also after a crash, what to remove and what
// to put back, and removes nothing else.
//
// Packages are made from the same Layout (scripts/packages), so that what is
// tested here is what they hold.
package install
