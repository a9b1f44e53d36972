package resolver

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

func supported() error { return nil }

// tryLock takes an exclusive lock, or reports that another process has it. It
// ends with the file, also when the process is killed.
func tryLock(f *os.File) (taken bool, err error) {
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EINTR) {
		return true, nil
	}
	return false, err
}

// mountPoint reports whether something is mounted at name itself, and if so
// which file.
func mountPoint(name string) (device, inode uint64, ok bool) {
	var s, up unix.Statx_t
	const flags = unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT
	if unix.Statx(unix.AT_FDCWD, name, flags, unix.STATX_INO, &s) != nil {
		return 0, 0, false
	}
	ok = s.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
	if s.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT == 0 { // before Linux 5.8
		ok = unix.Statx(unix.AT_FDCWD, filepath.Dir(name), flags, unix.STATX_INO, &up) == nil &&
			(up.Dev_major != s.Dev_major || up.Dev_minor != s.Dev_minor)
	}
	return unix.Mkdev(s.Dev_major, s.Dev_minor), s.Ino, ok
}

// dress gives a new file the owner, mode and security label that programs
// expect of the one whose place it takes. What cannot be given is left.
func dress(name, like string) {
	info, err := os.Stat(like)
	if err != nil {
		return
	}
	var s unix.Stat_t
	if unix.Stat(like, &s) == nil {
		_ = os.Chown(name, int(s.Uid), int(s.Gid))
	}
	_ = os.Chmod(name, info.Mode().Perm())
	label := make([]byte, 4096)
	if n, err := unix.Getxattr(like, "security.selinux", label); err == nil {
		_ = unix.Setxattr(name, "security.selinux", label[:n], 0)
	}
}

// cannotReplace reports whether an error means that a file cannot be replaced
// by another, although it may perhaps be written.
func cannotReplace(err error) bool {
	for _, e := range []error{unix.EBUSY, unix.EXDEV, unix.EROFS, unix.EACCES, unix.EPERM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// cannotLink reports whether an error means that this file system, or this
// user, makes no second name for a file.
func cannotLink(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EMLINK)
}
