//go:build linux

// Package vm starts a kernel in QEMU and has commands run in it.
//
// QEMU runs in a host of a laboratory (package netlab), and so ends with it,
// however the test ends. It opens no file but the kernel's, and listens nowhere:
// the archive, the port for orders and the network are descriptors.
//
// What it is not: it is not fast. There is one processor, and all its
// instructions are emulated.
package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/internal/netlab"
	"github.com/warrenvpn/warren/interop/kernel/order"
)

// QEMU is the program that emulates the machine.
const QEMU = "qemu-system-x86_64"

// bootPatience bounds the time from the start to the guest's first word.
const bootPatience = 2 * time.Minute

// Config says what to start.
type Config struct {
	Host    *netlab.Host // where QEMU runs
	Kernel  string       // the file
	Archive []byte       // the initial file system, with the guest's program as /init
	Links   []*os.File   // network: TAPs, see NewTAP. Start takes them over
	Memory  int          // in MB; 0 means 512
}

// VM is a running guest. Its methods may be called by several goroutines.
type VM struct {
	Release string        // of the kernel, as uname tells
	Booted  time.Duration // from the start to the guest's first word

	cmd     *exec.Cmd
	console console
	conn    net.Conn
	ended   chan struct{} // closed when QEMU has ended

	write sync.Mutex // held while an order is sent

	mu      sync.Mutex // guards the fields below
	next    uint64
	waiting map[uint64]chan order.Answer
	failed  error // why no more answers will come
}

// Start boots a kernel and waits for the guest to be ready.
func Start(ctx context.Context, c Config) (_ *VM, err error) {
	defer func() {
		for _, l := range c.Links {
			l.Close()
		}
	}()
	archive, err := memory("initramfs", c.Archive)
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	v := &VM{conn: ours, ended: make(chan struct{}), waiting: map[uint64]chan order.Answer{}}
	files := append([]*os.File{theirs, archive}, c.Links...) // from descriptor 3 on
	v.cmd = c.Host.Command(ctx, c.arguments(5)...)
	v.cmd.ExtraFiles = files
	v.cmd.Stdout, v.cmd.Stderr = &v.console, &v.console
	v.cmd.WaitDelay = time.Second
	start := time.Now()
	if err := c.Host.Start(v.cmd); err != nil {
		ours.Close()
		return nil, fmt.Errorf("start %s: %w", QEMU, err)
	}
	go func() {
		err := v.cmd.Wait()
		v.fail(fmt.Errorf("the guest has ended (%v); its last words:\n%s", err, v.console.tail()))
		close(v.ended)
		ours.Close()
	}()
	hello := v.expect(0)
	go v.receive()
	select {
	case a, ok := <-hello:
		if !ok {
			return nil, v.why()
		}
		v.Release, v.Booted = string(a.Stdout), time.Since(start)
		return v, nil
	case <-time.After(bootPatience):
		v.Kill()
		return nil, fmt.Errorf("the guest says nothing after %v; its console:\n%s", bootPatience, v.console.tail())
	}
}

// arguments returns the command line; links begin at descriptor fd.
func (c *Config) arguments(fd int) []string {
	size := c.Memory
	if size == 0 {
		size = 512
	}
	// The processor has all that can be emulated, except for what is slow there:
	// five levels of page tables, and copies that go byte by byte.
	argv := []string{
		QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-machine", "pc,usb=off,hpet=off", "-accel", "tcg,thread=single", "-cpu", "max,la57=off,erms=off,fsrm=off", "-smp", "1", "-m", fmt.Sprint(size),
		"-serial", "stdio",
		"-kernel", c.Kernel, "-initrd", "/proc/self/fd/4",
		"-append", "console=ttyS0 loglevel=5 panic=-1 mitigations=off nokaslr random.trust_cpu=on rdinit=/init",
		"-chardev", "socket,id=orders,fd=3",
		"-device", "virtio-serial-pci",
		"-device", "virtserialport,chardev=orders,name=" + order.Port,
		"-object", "rng-random,id=rng,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng",
	}
	for i := range c.Links {
		argv = append(argv,
			"-netdev", fmt.Sprintf("tap,id=n%d,fd=%d", i, fd+i),
			"-device", fmt.Sprintf("virtio-net-pci,netdev=n%d,romfile=,mac=02:00:00:00:01:%02x", i, i+1))
	}
	return argv
}

// Result is what came of a command.
type Result struct {
	Stdout, Stderr string
	Status         int
}

// Command is a command for the guest.
type Command struct {
	Path  string // of the program; empty: Argv[0], looked for in PATH
	Argv  []string
	Env   []string
	Stdin []byte
	UID   uint32 // of the process, and its group's; 0 is root
}

// Do runs a command. That it exits with another status than 0 is no error; that
// there is no such program is one. When ctx ends, it is killed.
func (v *VM) Do(ctx context.Context, c Command) (Result, error) {
	a, err := v.ask(ctx, order.Order{Kind: order.Run, Path: c.Path, Argv: c.Argv, Env: c.Env, Data: c.Stdin, UID: c.UID})
	if err != nil {
		return Result{}, fmt.Errorf("guest: %s: %w", strings.Join(c.Argv, " "), err)
	}
	return Result{string(a.Stdout), string(a.Stderr), a.Status}, nil
}

// Run runs a command that must succeed, and returns what it wrote to standard
// output.
func (v *VM) Run(ctx context.Context, argv ...string) (string, error) {
	r, err := v.Do(ctx, Command{Argv: argv})
	if err == nil && r.Status != 0 {
		err = fmt.Errorf("guest: %s: exit status %d: %s", strings.Join(argv, " "), r.Status, strings.TrimSpace(r.Stderr))
	}
	return r.Stdout, err
}

// WriteFile writes a file of the guest, with the folders above it.
func (v *VM) WriteFile(ctx context.Context, path string, data []byte, perm os.FileMode) error {
	_, err := v.ask(ctx, order.Order{Kind: order.Write, Path: path, Data: data, Mode: uint32(perm)})
	return err
}

// ReadFile reads a file of the guest.
func (v *VM) ReadFile(ctx context.Context, path string) ([]byte, error) {
	a, err := v.ask(ctx, order.Order{Kind: order.Read, Path: path})
	return a.Stdout, err
}

// Load inserts kernel modules and what they depend on.
func (v *VM) Load(ctx context.Context, modules ...string) error {
	_, err := v.ask(ctx, order.Order{Kind: order.Load, Argv: modules})
	return err
}

// Console returns what the kernel has written to its console.
func (v *VM) Console() string { return v.console.String() }

// PowerOff ends the guest in order, and kills it if that takes long.
func (v *VM) PowerOff() error {
	err := v.send(order.Order{Kind: order.PowerOff})
	select {
	case <-v.ended:
		return err
	case <-time.After(10 * time.Second):
		v.Kill()
		return errors.Join(err, errors.New("the guest did not end within 10 s"))
	}
}

// CPU returns the processor time that a guest took so far. Where several tests
// share a machine, this is what tells whether one of them is slow.
func (v *VM) CPU() time.Duration {
	select {
	case <-v.ended:
		return v.cmd.ProcessState.UserTime() + v.cmd.ProcessState.SystemTime()
	default:
	}
	// clockid of a process: all bits of the id but the last three inverted; 2 is
	// the time of the scheduler, [K] posix-timers.h.
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^v.cmd.Process.Pid<<3|2), &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// Kill ends the guest at once, and waits for it.
func (v *VM) Kill() {
	_ = v.cmd.Cancel()
	<-v.ended
}

// ask sends an order and waits for the answer.
func (v *VM) ask(ctx context.Context, o order.Order) (order.Answer, error) {
	v.mu.Lock()
	v.next++
	o.ID = v.next
	v.mu.Unlock()
	answer := v.expect(o.ID)
	if err := v.send(o); err != nil {
		return order.Answer{}, err
	}
	select {
	case a, ok := <-answer:
		if !ok {
			return order.Answer{}, v.why()
		}
		if a.Error != "" {
			return a, errors.New(a.Error)
		}
		return a, nil
	case <-ctx.Done():
		_ = v.send(order.Order{Kind: order.Cancel, Of: o.ID})
		return order.Answer{}, ctx.Err()
	}
}

func (v *VM) send(o order.Order) error {
	v.write.Lock()
	defer v.write.Unlock()
	if err := order.Send(v.conn, o); err != nil {
		if why := v.why(); why != nil {
			return why
		}
		return err
	}
	return nil
}

// expect returns where the answer to an order will arrive. It is closed when
// there will be none.
func (v *VM) expect(id uint64) chan order.Answer {
	c := make(chan order.Answer, 1)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.failed != nil {
		close(c)
		return c
	}
	v.waiting[id] = c
	return c
}

func (v *VM) receive() {
	for {
		var a order.Answer
		if err := order.Receive(v.conn, &a); err != nil {
			// The end of the process says more.
			select {
			case <-v.ended:
			case <-time.After(2 * time.Second):
			}
			v.fail(fmt.Errorf("no more answers from the guest: %w; its last words:\n%s", err, v.console.tail()))
			return
		}
		v.mu.Lock()
		c := v.waiting[a.ID]
		delete(v.waiting, a.ID)
		v.mu.Unlock()
		if c != nil {
			c <- a
		}
	}
}

func (v *VM) fail(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.failed != nil {
		return
	}
	v.failed = err
	for id, c := range v.waiting {
		delete(v.waiting, id)
		close(c)
	}
}

func (v *VM) why() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.failed
}

// console keeps what the guest prints.
type console struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (c *console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.Write(b)
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.String()
}

// tail returns the last lines.
func (c *console) tail() string {
	lines := strings.Split(strings.TrimSpace(c.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}

// memory returns a file in memory with a content.
func memory(name string, content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := f.Write(content); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func socketPair() (net.Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "orders"), os.NewFile(uintptr(fds[1]), "orders")
	defer ours.Close() // FileConn makes a copy
	conn, err := net.FileConn(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return conn, theirs, nil
}

// NewTAP makes a TAP in a host and returns its descriptor: it is there as long
// as that is open anywhere.
func NewTAP(h *netlab.Host, name string) (*os.File, error) {
	var file *os.File
	err := h.Do(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return &os.PathError{Op: "open", Path: "/dev/net/tun", Err: err}
		}
		req, err := unix.NewIfreq(name)
		if err == nil {
			req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
		}
		if err != nil {
			unix.Close(fd)
			return fmt.Errorf("make TAP %s: %w", name, err)
		}
		file = os.NewFile(uintptr(fd), name)
		return nil
	})
	return file, err
}
