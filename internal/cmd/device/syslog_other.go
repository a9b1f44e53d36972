//go:build !unix

package device

import "errors"

func openSyslog(string) (sink, error) { return nil, errors.ErrUnsupported }
