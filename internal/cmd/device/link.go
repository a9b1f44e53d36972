package device

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/warrenvpn/warren/tun"
	"github.com/warrenvpn/warren/uapi"
)

// defaultMTU leaves room in 1500 bytes for the longest outer headers: 40 of
// IPv6, 8 of UDP, 32 of the message.
const defaultMTU = 1420

// maxLanes bounds lanes: each has buffers of some megabytes.
const maxLanes = 8

// lanes is the number of TUN queues and of data sockets per family: half of the
// processors for each direction.
func lanes() int { return min(max(runtime.GOMAXPROCS(0)/2, 1), maxLanes) }

// openLink creates the interface, or adopts the descriptors it was given.
func openLink(s *settings) (*tun.Device, error) {
	if len(s.tunFDs) == 0 {
		c := s.tuning.link()
		c.MTU = defaultMTU
		return tun.Create(s.name, c)
	}
	// In the background the link is one that the starting process has set up.
	c := s.tuning.link()
	if !s.background() {
		c.MTU = defaultMTU
	}
	return tun.FromFDs(s.tunFDs, c)
}

// openSocket makes the control socket of the interface, or adopts the one it
// was given.
func openSocket(s *settings, iface string) (*uapi.Listener, error) {
	if s.uapiFD < 0 {
		return uapi.Listen(iface)
	}
	f := os.NewFile(uintptr(s.uapiFD), "control socket")
	if f == nil {
		return nil, fmt.Errorf("adopt control socket: descriptor %d is not open", s.uapiFD)
	}
	return uapi.FromFile(f)
}

// launch hands link and socket over to a child in the background.
func launch(s *settings, link *tun.Device, socket *uapi.Listener) error {
	err := handOver(s, link, socket)
	if err != nil {
		// Nobody serves it: the name must be free again.
		return errors.Join(err, socket.Close(), link.Close())
	}
	return nil // the child has both; they end here with the process
}

func handOver(s *settings, link *tun.Device, socket *uapi.Listener) error {
	queues, err := link.Files()
	if err != nil {
		return err
	}
	defer closeFiles(queues)
	control, err := socket.File()
	if err != nil {
		return err
	}
	defer closeFiles([]*os.File{control})
	return spawn(s, queues, control)
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
