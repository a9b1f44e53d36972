//go:build !linux

package hostnet

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"

	"github.com/warrenvpn/warren/internal/quick"
)

// Network would be the links, addresses and routes of this host.
type Network struct{}

func unsupported() error {
	return fmt.Errorf("interfaces, addresses and routes on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// New fails: only Linux is here yet.
func New() (*Network, error) { return nil, unsupported() }

// Close does nothing.
func (*Network) Close() error { return nil }

// IsTunnel fails: only Linux is here yet.
func (*Network) IsTunnel(int) (bool, error) { return false, unsupported() }

// IsConfigured fails: only Linux is here yet.
func (*Network) IsConfigured(string) (bool, error) { return false, unsupported() }

// Privileged returns why nothing can be done here.
func (*Network) Privileged() error { return unsupported() }

// Obstacle returns why nothing can be done here.
func (*Network) Obstacle() error { return unsupported() }

// Paths fails: only Linux is here yet.
func (*Network) Paths([]netip.Addr) ([]quick.Path, error) { return nil, unsupported() }

// DefaultPath fails: only Linux is here yet.
func (*Network) DefaultPath() (int, error) { return 0, unsupported() }

// Routes fails: only Linux is here yet.
func (*Network) Routes(string) ([]netip.Prefix, error) { return nil, unsupported() }

// Adopt fails: only Linux is here yet.
func (*Network) Adopt(string) error { return unsupported() }

// Perform fails: only Linux is here yet.
func (*Network) Perform(string, quick.Step) error { return unsupported() }

// Index fails: only Linux is here yet.
func (*Network) Index(string) (int, bool, error) { return 0, false, unsupported() }

// Rules fails: only Linux is here yet.
func (*Network) Rules() ([]quick.Rule, error) { return nil, unsupported() }

// UsedTables fails: only Linux is here yet.
func (*Network) UsedTables(uint32) ([]uint32, error) { return nil, unsupported() }

// HasDefault is false.
func (*Network) HasDefault(bool) bool { return false }

// Addresses fails: only Linux is here yet.
func (*Network) Addresses(string) ([]netip.Prefix, error) { return nil, unsupported() }

// MTU fails: only Linux is here yet.
func (*Network) MTU(string) (int, error) { return 0, unsupported() }

// KernelMayHave is false: only Linux is here yet.
func KernelMayHave() bool { return false }

// StrictReversePath is false: only Linux is here yet.
func StrictReversePath() bool { return false }
