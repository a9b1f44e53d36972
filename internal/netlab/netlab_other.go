//go:build !linux

package netlab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
)

var errSystem = fmt.Errorf("network namespaces on %s: %w", runtime.GOOS, errors.ErrUnsupported)

// Lab is a set of hosts. On this system none can be made.
type Lab struct{}

// Host is a host of a lab. On this system none can be made.
type Host struct{}

// New fails: this system has no network namespaces.
func New(Options) (*Lab, error) { return nil, errSystem }

// List returns nothing.
func List() ([]Info, error) { return nil, nil }

// Remove fails.
func Remove(string) error { return errSystem }

// Enter fails.
func Enter(HostInfo, []string, ...string) error { return errSystem }

// Host fails.
func (*Lab) Host(string) (*Host, error) { return nil, errSystem }

// Close does nothing.
func (*Lab) Close() error { return nil }

// Keep fails.
func (*Lab) Keep() error { return errSystem }

// ID returns nothing.
func (*Lab) ID() string { return "" }

// Cable fails.
func (*Lab) Cable(Port, Port) error { return errSystem }

// Name returns nothing.
func (*Host) Name() string { return "" }

// PID returns 0.
func (*Host) PID() int { return 0 }

// Do fails.
func (*Host) Do(func() error) error { return errSystem }

// Command returns a command that cannot be started.
func (*Host) Command(ctx context.Context, argv ...string) *exec.Cmd {
	return exec.CommandContext(ctx, argv[0], argv[1:]...)
}

// Start fails.
func (*Host) Start(*exec.Cmd) error { return errSystem }

// Run fails.
func (*Host) Run(context.Context, ...string) ([]byte, error) { return nil, errSystem }

// Output fails.
func (*Host) Output(*exec.Cmd) ([]byte, error) { return nil, errSystem }

// WriteFile fails.
func (*Host) WriteFile(string, []byte, os.FileMode) error { return errSystem }

// Symlink fails.
func (*Host) Symlink(string, string) error { return errSystem }

// SetNames fails.
func (*Host) SetNames(map[string][]netip.Addr) error { return errSystem }

// Sysctl fails.
func (*Host) Sysctl(string, string) error { return errSystem }

// Forward fails.
func (*Host) Forward() error { return errSystem }

// Bridge fails.
func (*Host) Bridge(string, ...netip.Prefix) error { return errSystem }

// Address fails.
func (*Host) Address(string, netip.Prefix) error { return errSystem }

// Route fails.
func (*Host) Route(netip.Prefix, netip.Addr) error { return errSystem }

// DefaultRoutes fails.
func (*Host) DefaultRoutes(...netip.Addr) error { return errSystem }

// SetLink fails.
func (*Host) SetLink(string, bool) error { return errSystem }

// SetMTU fails.
func (*Host) SetMTU(string, int) error { return errSystem }

// NAT fails.
func (*Host) NAT(NAT) error { return errSystem }
