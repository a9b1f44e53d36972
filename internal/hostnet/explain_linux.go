package hostnet

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/internal/quick"
	"github.com/warrenvpn/warren/internal/rtnl"
)

// What the kernel answers, in words for the user.

const tunDevice = "/dev/net/tun"

// Privileged returns why this process cannot change interfaces, or nil.
func (n *Network) Privileged() error {
	if netAdmin() {
		return nil
	}
	p := &quick.Problem{
		Text: "only root, or a process with CAP_NET_ADMIN, may make and remove interfaces",
		Hint: "put sudo before it",
		Err:  fs.ErrPermission,
	}
	if os.Geteuid() == 0 {
		p.Text = "root lacks the capability NET_ADMIN here, which making and removing interfaces takes"
		p.Hint = "in a container, add `--cap-add NET_ADMIN --device " + tunDevice + "`"
	}
	return p
}

// Obstacle returns why this process cannot make interfaces, or nil.
func (n *Network) Obstacle() error {
	if err := n.Privileged(); err != nil {
		return err
	}
	f, err := os.OpenFile(tunDevice, os.O_RDWR, 0)
	if err == nil {
		return f.Close()
	}
	p := &quick.Problem{Text: err.Error(), Err: err, Hint: "in a container, it needs `--device " + tunDevice + "` and the capability NET_ADMIN"}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		p.Text = "there is no " + tunDevice
		p.Hint = "`modprobe tun` makes it; " + p.Hint
	}
	return p
}

// netAdmin reports whether this thread has CAP_NET_ADMIN in effect.
func netAdmin() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return os.Geteuid() == 0
	}
	return data[0].Effective&(1<<unix.CAP_NET_ADMIN) != 0
}

func explainCreate(err error) error {
	switch {
	case errors.Is(err, rtnl.ErrNoKind):
		return errors.Join(ErrNoKernel, err)
	case err != nil:
		return fmt.Errorf("make interface: %w", err)
	}
	return nil
}

func explainRule(r quick.Rule, err error) error {
	if err != nil {
		return fmt.Errorf("add a rule for table %d: %w", r.Table, err)
	}
	return nil
}

func explainAddress(p netip.Prefix, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, rtnl.ErrExists):
		return &quick.Problem{Text: fmt.Sprintf("the interface has %s already", p), Hint: "a PreUp hook may have set it", Err: err}
	case noIPv6(p, err):
		return ipv6Off(p, "Address", err)
	}
	return fmt.Errorf("add address %s: %w", p, err)
}

func explainRoute(p netip.Prefix, err error) error {
	switch {
	case err == nil:
		return nil
	case noIPv6(p, err):
		return ipv6Off(p, "AllowedIPs", err)
	}
	return fmt.Errorf("add route to %s: %w", p, err)
}

func explainExisting(p netip.Prefix, holder string, err error) error {
	through := ""
	if holder != "" {
		through = " through " + holder
	}
	return &quick.Problem{
		Text: fmt.Sprintf("there is a route to %s%s already", p, through),
		Hint: "remove one of the two, or say Table = off and set the routes in PostUp",
		Err:  err,
	}
}

func explainSetUp(mtu int, err error) error {
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ERANGE) {
		return &quick.Problem{Text: fmt.Sprintf("the kernel refuses an MTU of %d: %v", mtu, err), Hint: "68 to 65535 are possible", Err: err}
	}
	return fmt.Errorf("set MTU %d and link up: %w", mtu, err)
}

// noIPv6 recognises the answers of a kernel in which IPv6 is switched off or
// not there.
func noIPv6(p netip.Prefix, err error) bool {
	return p.Addr().Is6() && (errors.Is(err, unix.EACCES) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EAFNOSUPPORT))
}

func ipv6Off(p netip.Prefix, key string, err error) error {
	return &quick.Problem{
		Text: fmt.Sprintf("%s: IPv6 is switched off on this host", p),
		Hint: "remove it from " + key + ", or switch IPv6 on: sysctl net.ipv6.conf.default.disable_ipv6=0",
		Err:  err,
	}
}
