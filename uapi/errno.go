package uapi

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// RequestError says which line of a set is wrong. The whole request is refused.
type RequestError struct {
	Line  int    // in the request; set=1 is line 0
	Key   string // empty: the line has no key
	Errno syscall.Errno
	Err   error
}

// Error implements error. It does not repeat the value, which may be a secret.
func (e *RequestError) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("request line %d: %v", e.Line, e.Err)
	}
	return fmt.Sprintf("request line %d: %s: %v", e.Line, e.Key, e.Err)
}

// Unwrap returns the reason.
func (e *RequestError) Unwrap() error { return e.Err }

// unknownErrno is what a failure without a number of its own is reported as:
// the number that wireguard-go uses.
const unknownErrno = syscall.Errno(55)

// ErrnoOf returns the number that stands for an error of Backend.Apply: the
// system's own where there is one (EADDRINUSE for a port that is taken), EINVAL
// for what wraps fs.ErrInvalid, else 55.
func ErrnoOf(err error) syscall.Errno {
	var bad *RequestError
	var errno syscall.Errno
	switch {
	case err == nil:
		return 0
	case errors.As(err, &bad):
		return bad.Errno
	case errors.As(err, &errno) && errno != 0:
		return errno
	case errors.Is(err, fs.ErrInvalid):
		return syscall.EINVAL
	}
	return unknownErrno
}
