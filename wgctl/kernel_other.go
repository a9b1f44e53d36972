//go:build !linux

package wgctl

import (
	"iter"
	"syscall"
	"time"

	"github.com/warrenvpn/warren/conf"
)

// noKernel stands for a kernel without WireGuard that we can speak to. It
// answers what wg(8) does there: nothing is listed, and everything else is not
// supported.
type noKernel struct{}

func newKernel(Dial, time.Duration) backend { return noKernel{} }

func (noKernel) names() ([]string, error)           { return nil, nil }
func (noKernel) has(string) (bool, error)           { return false, syscall.EPROTONOSUPPORT }
func (noKernel) device(string) (conf.Device, error) { return conf.Device{}, syscall.EPROTONOSUPPORT }

func (noKernel) apply(string, *conf.Change, iter.Seq[*conf.PeerChange]) error {
	return syscall.EPROTONOSUPPORT
}
