//go:build !linux

package tun

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/warrenvpn/warren/packet"
)

// Device is a TUN interface. There is none on this system yet.
type Device struct{}

func unsupported() error {
	return fmt.Errorf("tun: interfaces on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// Create returns an error that wraps errors.ErrUnsupported.
func Create(name string, c Config) (*Device, error) { return nil, unsupported() }

// FromFD returns an error that wraps errors.ErrUnsupported.
func FromFD(fd int, c Config) (*Device, error) { return nil, unsupported() }

// FromFDs returns an error that wraps errors.ErrUnsupported.
func FromFDs(fds []int, c Config) (*Device, error) { return nil, unsupported() }

// Name returns the empty string.
func (d *Device) Name() string { return "" }

// MTU returns 0.
func (d *Device) MTU() int { return 0 }

// Caps returns the zero value.
func (d *Device) Caps() Caps { return Caps{} }

// Joins returns false for all.
func (d *Device) Joins() (tcp, udp bool, limit int) { return false, false, 0 }

// Queues returns nil.
func (d *Device) Queues() []Queue { return nil }

// FDs returns nil.
func (d *Device) FDs() []int { return nil }

// Files returns an error that wraps errors.ErrUnsupported.
func (d *Device) Files() ([]*os.File, error) { return nil, unsupported() }

// Events returns nil.
func (d *Device) Events() <-chan packet.LinkEvent { return nil }

// Close returns an error that wraps errors.ErrUnsupported.
func (d *Device) Close() error { return unsupported() }
