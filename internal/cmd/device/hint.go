package device

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"syscall"

	"github.com/warrenvpn/warren/uapi"
)

// hint says what to do about an error, "" when we do not know.
func hint(err error) string {
	if runtime.GOOS != "linux" {
		return ""
	}
	aboutTUN := strings.Contains(err.Error(), tunPath)
	switch {
	case aboutTUN && errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.ENXIO):
		return "load the driver with `modprobe tun`; in a container pass --device " + tunPath
	case errors.Is(err, errPriority) && errors.Is(err, fs.ErrPermission):
		return "to be more urgent takes CAP_SYS_NICE; without --nice it is had where it is possible"
	case errors.Is(err, syscall.ENOTTY):
		return tunPath + " is no TUN device; `mknod " + tunPath + " c 10 200` makes one"
	case errors.Is(err, fs.ErrPermission):
		if os.Geteuid() == 0 {
			return "root without the capability: in a container add --cap-add NET_ADMIN and --device " + tunPath
		}
		return "run as root, or give the program CAP_NET_ADMIN"
	case errors.Is(err, syscall.EBUSY):
		return "an interface of this name exists and is in use; `ip link show` lists them, `ip link delete NAME` removes one"
	case errors.Is(err, uapi.ErrInUse):
		return "another program serves an interface of this name; removing its socket ends it"
	}
	return ""
}

const tunPath = "/dev/net/tun"
