package tun

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/packet"
)

const (
	cloneDevice = "/dev/net/tun"
	maxQueues   = 256 // [K] tun.c, MAX_TAP_QUEUES

	// The offloads of [K] if_tun.h that x/sys does not name everywhere.
	tunCsum = 0x01
	tunTSO4 = 0x02
	tunTSO6 = 0x04
	tunECN  = 0x08
	tunUSO4 = 0x20
	tunUSO6 = 0x40
)

// Device is a TUN interface of Linux.
type Device struct {
	queues []*queue
	ports  []Queue // queues once more, as what Queues returns
	wake   int     // eventfd in every poll, readable once the device closes
	vnet   bool    // packets are preceded by a virtio-net header
	config Config
	blind  bool // never look into a namespace: for tests of what is done then

	name atomic.Pointer[string] // written by the watcher: links are renamed
	mtu  atomic.Int64           // written by the watcher
	// takes has a bit 1<<kind for each packet.Kind that writes may have; the bit
	// of packet.Plain stands for unfinished checksums. A refused write clears.
	takes atomic.Uint32

	closing   chan struct{}
	closeOnce sync.Once
	closeErr  error
	events    chan packet.LinkEvent

	mu      sync.Mutex // guards what follows
	closed  bool
	started bool          // Events was called, the watcher runs
	stopped chan struct{} // closed when the watcher has ended
}

// Create makes a TUN interface, or attaches to a persistent one. The kernel
// replaces a %d in name by the first free number, and an empty name by tun%d.
// The link is left down. It disappears with the last of its descriptors.
func Create(name string, c Config) (*Device, error) {
	if err := checkName(name); err != nil {
		return nil, fmt.Errorf("create tun %q: %w", name, err)
	}
	n := max(c.Queues, 1)
	if n > maxQueues {
		return nil, fmt.Errorf("create tun %q: %d queues, want at most %d", name, n, maxQueues)
	}
	flags := uint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if c.Offload {
		flags |= unix.IFF_VNET_HDR
	}
	if n > 1 {
		flags |= unix.IFF_MULTI_QUEUE
	}
	fds := make([]int, 0, n)
	for len(fds) < n {
		fd, real, err := openQueue(name, flags)
		if err != nil {
			closeAll(fds)
			return nil, fmt.Errorf("create tun %q: %w", name, err)
		}
		fds, name = append(fds, fd), real
	}
	d, err := newDevice(fds, c)
	if err != nil {
		closeAll(fds)
		return nil, fmt.Errorf("create tun %q: %w", name, err)
	}
	if err := d.configure(); err != nil {
		d.Close()
		return nil, fmt.Errorf("create tun %q: %w", name, err)
	}
	return d, nil
}

// FromFD takes over the TUN device whose only queue is open as fd.
func FromFD(fd int, c Config) (*Device, error) { return FromFDs([]int{fd}, c) }

// FromFDs takes over the TUN device whose queues are open as fds, for instance
// handed over by a parent process, a container manager or the system of a
// phone. Whether packets carry a virtio-net header is found out. The
// descriptors are switched to non-blocking and closed on exec; they belong to
// the device if FromFDs succeeds, and to the caller if not.
func FromFDs(fds []int, c Config) (*Device, error) {
	if len(fds) == 0 {
		return nil, errors.New("adopt tun: no descriptor")
	}
	for _, fd := range fds {
		if err := unix.SetNonblock(fd, true); err != nil {
			return nil, fmt.Errorf("adopt tun: descriptor %d: %w", fd, err)
		}
		unix.CloseOnExec(fd)
	}
	d, err := newDevice(append([]int(nil), fds...), c)
	if err != nil {
		return nil, fmt.Errorf("adopt tun: %w", err)
	}
	if err := d.adopt(); err != nil {
		unix.Close(d.wake)
		return nil, fmt.Errorf("adopt tun %s: %w", d.Name(), err)
	}
	return d, nil
}

// checkName refuses what the kernel would refuse or cut off without saying why.
func checkName(name string) error {
	switch {
	case len(name) >= unix.IFNAMSIZ:
		return fmt.Errorf("name of %d bytes, want at most %d", len(name), unix.IFNAMSIZ-1)
	case name == "." || name == ".." || strings.ContainsAny(name, "/:\x00 \t\n\v\f\r"):
		return errors.New("not a name for an interface")
	}
	return nil
}

// openQueue opens one queue and returns the interface's real name.
func openQueue(name string, flags uint16) (fd int, real string, err error) {
	fd, err = unix.Open(cloneDevice, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, "", explainOpen(err)
	}
	ifr, err := unix.NewIfreq(name)
	if err == nil {
		ifr.SetUint16(flags)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	}
	if err != nil {
		unix.Close(fd)
		return -1, "", explainAttach(err)
	}
	return fd, ifr.Name(), nil
}

func explainOpen(err error) error {
	hint := ""
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		hint = " (is the kernel module tun loaded, and the device passed to this container?)"
	case errors.Is(err, fs.ErrPermission):
		hint = " (needs access to the device and CAP_NET_ADMIN)"
	}
	return fmt.Errorf("open %s: %w%s", cloneDevice, err, hint)
}

func explainAttach(err error) error {
	hint := ""
	switch {
	case errors.Is(err, fs.ErrPermission):
		hint = " (needs CAP_NET_ADMIN)"
	case errors.Is(err, unix.EBUSY):
		hint = " (another process has it open)"
	case errors.Is(err, unix.EINVAL):
		hint = " (an interface of that name that is not such a TUN?)"
	}
	return fmt.Errorf("set interface: %w%s", err, hint)
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// newDevice asks the first descriptor what it is and switches offloads on. It
// does not close fds when it fails.
func newDevice(fds []int, c Config) (*Device, error) {
	name, flags, err := identify(fds[0])
	if err != nil {
		return nil, err
	}
	if flags&unix.IFF_TUN == 0 || flags&unix.IFF_NO_PI == 0 {
		return nil, fmt.Errorf("%s has flags %#x, want IFF_TUN and IFF_NO_PI", name, flags)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	d := &Device{
		wake: wake, vnet: flags&unix.IFF_VNET_HDR != 0, config: c,
		closing: make(chan struct{}), stopped: make(chan struct{}),
		events: make(chan packet.LinkEvent, 8),
	}
	d.name.Store(&name)
	d.probe(fds[0])
	for _, fd := range fds {
		q := newQueue(d, fd)
		if d.vnet {
			// Ignored where the kernel does not know it: ten bytes are its default.
			unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, virtioSize)
		}
		d.queues = append(d.queues, q)
		d.ports = append(d.ports, q)
	}
	return d, nil
}

// identify returns name and flags of the interface that fd is a queue of.
func identify(fd int) (name string, flags uint16, err error) {
	ifr, err := unix.NewIfreq("")
	if err != nil {
		return "", 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.TUNGETIFF, ifr); err != nil {
		return "", 0, fmt.Errorf("get interface of descriptor %d: %w", fd, err)
	}
	return ifr.Name(), ifr.Uint16(), nil
}

// probe switches on as many offloads as the kernel takes, and notes which.
func (d *Device) probe(fd int) {
	if !d.vnet {
		return
	}
	const tcp = tunCsum | tunTSO4 | tunTSO6 | tunECN
	steps := []struct {
		flags int
		takes uint32
	}{
		{tcp | tunUSO4 | tunUSO6, 1<<packet.Plain | 1<<packet.TCP4 | 1<<packet.TCP6 | 1<<packet.UDP},
		{tcp, 1<<packet.Plain | 1<<packet.TCP4 | 1<<packet.TCP6},
		{tcp &^ tunECN, 1<<packet.Plain | 1<<packet.TCP4 | 1<<packet.TCP6},
		{tunCsum, 1 << packet.Plain},
		{0, 0},
	}
	if !d.config.Offload {
		steps = steps[len(steps)-1:]
	}
	for _, s := range steps {
		if unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, s.flags) == nil {
			d.takes.Store(s.takes)
			return
		}
	}
}

// Name returns the present name of the interface.
func (d *Device) Name() string { return *d.name.Load() }

// MTU returns the MTU of the interface. It follows changes once Events was
// called, as far as the link can be watched.
func (d *Device) MTU() int { return int(d.mtu.Load()) }

// Caps returns what the device can do.
func (d *Device) Caps() Caps {
	takes := d.takes.Load()
	limit := packet.MaxSuper
	if d.config.GSOMaxSize > 0 {
		limit = min(limit, d.config.GSOMaxSize-1)
	}
	const tcp = 1<<packet.TCP4 | 1<<packet.TCP6
	return Caps{
		Checksum: takes&(1<<packet.Plain) != 0, TCP: takes&tcp == tcp, UDP: takes&(1<<packet.UDP) != 0,
		Queues: len(d.queues), JoinLimit: limit,
	}
}

// Joins returns which protocols a Joiner should join for this device, and the
// largest packet it should make.
func (d *Device) Joins() (tcp, udp bool, limit int) {
	c := d.Caps()
	return c.TCP, c.UDP, c.JoinLimit
}

// Queues returns the packet queues.
func (d *Device) Queues() []Queue { return d.ports }

// FDs returns the descriptors of all queues, which stay the device's: they are
// closed by Close, and on exec.
func (d *Device) FDs() []int {
	fds := make([]int, len(d.queues))
	for i, q := range d.queues {
		fds[i] = q.fd
	}
	return fds
}

// Files returns copies of the descriptors of all queues, to be handed to a
// child process as exec.Cmd.ExtraFiles and closed by the caller. The interface
// then lives as long as either process has it open. Handing a file over may
// switch the descriptors to blocking, also in this process, so it should read
// no more; FromFDs in the child switches them back.
func (d *Device) Files() ([]*os.File, error) {
	files := make([]*os.File, 0, len(d.queues))
	for _, q := range d.queues {
		fd := -1
		err := os.ErrClosed
		if q.gate.enter() {
			fd, err = unix.FcntlInt(uintptr(q.fd), unix.F_DUPFD_CLOEXEC, 3)
			q.gate.leave()
		}
		if err != nil {
			for _, f := range files {
				f.Close()
			}
			return nil, fmt.Errorf("duplicate tun %s: %w", d.Name(), err)
		}
		files = append(files, os.NewFile(uintptr(fd), cloneDevice))
	}
	return files, nil
}

// Close wakes all who wait, waits until nobody uses the descriptors any more
// and closes them: a number that the system has given to somebody else by then
// is never touched.
func (d *Device) Close() error {
	d.closeOnce.Do(func() { d.closeErr = d.close() })
	return d.closeErr
}

func (d *Device) close() error {
	close(d.closing)
	one := [8]byte{1, 0, 0, 0, 0, 0, 0, 1} // not zero in either byte order
	if _, err := unix.Write(d.wake, one[:]); err != nil {
		return fmt.Errorf("close tun %s: wake readers: %w", d.Name(), err)
	}
	d.mu.Lock()
	d.closed = true
	started := d.started
	d.mu.Unlock()
	if started {
		<-d.stopped
	} else {
		close(d.events)
	}
	var first error
	for _, q := range d.queues {
		q.gate.shut()
		if q.waiter != nil {
			q.waiter.Close()
		}
		if err := unix.Close(q.fd); err != nil && first == nil {
			first = fmt.Errorf("close tun %s: %w", d.Name(), err)
		}
	}
	unix.Close(d.wake)
	return first
}

// isClosing reports whether Close was called.
func (d *Device) isClosing() bool {
	select {
	case <-d.closing:
		return true
	default:
		return false
	}
}
