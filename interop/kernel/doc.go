// Package kernel holds the tests against the WireGuard of Linux itself. This
// machine's kernel need not have it: kernels of Debian run in QEMU, emulated,
// with a small file system of ours.
//
//	order      what the test and the guest's first process say to each other
//	guest      that process
//	initramfs  the file system
//	vm         QEMU
//
// The kernels come from scripts/kernels.
package kernel
