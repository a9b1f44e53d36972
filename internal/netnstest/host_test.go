//go:build linux && e2e

package netnstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/netlab"
)

// patience bounds every wait for something that another process brings about,
// and every command.
const patience = 20 * time.Second

// lab is a laboratory that ends with the test.
type lab struct {
	*netlab.Lab
	t *testing.T
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l, err := netlab.New(netlab.Options{Name: "test " + t.Name()})
	must(t, err)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("close the laboratory: %v", err)
		}
	})
	return &lab{l, t}
}

func (l *lab) host(name string) *host {
	l.t.Helper()
	h, err := l.Host(name)
	must(l.t, err)
	return &host{Host: h, t: l.t}
}

// cable joins two hosts. Each end is "NAME ADDRESS/BITS...".
func (l *lab) cable(a *host, endA string, b *host, endB string) {
	l.t.Helper()
	must(l.t, l.Cable(a.port(endA), b.port(endB)))
}

// host is a host of a test's laboratory.
type host struct {
	*netlab.Host
	t *testing.T
}

func (h *host) port(end string) netlab.Port {
	words := strings.Fields(end)
	p := netlab.Port{Host: h.Host, Name: words[0]}
	for _, w := range words[1:] {
		p.Addresses = append(p.Addresses, netip.MustParsePrefix(w))
	}
	return p
}

// try runs a command in the host.
func (h *host) try(argv ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := h.Run(ctx, argv...)
	return string(out), err
}

// run runs a command in the host that must succeed.
func (h *host) run(argv ...string) string {
	h.t.Helper()
	out, err := h.try(argv...)
	if err != nil {
		h.t.Fatalf("%v\n%s", err, out)
	}
	return out
}

// ip runs ip(8) with the words of each line.
func (h *host) ip(lines ...string) {
	h.t.Helper()
	for _, l := range lines {
		h.run(append([]string{"ip"}, strings.Fields(l)...)...)
	}
}

// nft loads rules.
func (h *host) nft(rules string) {
	h.t.Helper()
	must(h.t, h.WriteFile("/run/rules.nft", []byte(rules), 0o600))
	h.run("nft", "-f", "/run/rules.nft")
}

// counter reads a named counter of an nft table.
func (h *host) counter(family, table, name string) (packets, bytes int) {
	h.t.Helper()
	out := h.run("nft", "list", "counter", family, table, name)
	words := strings.Fields(out)
	for i, w := range words {
		if w == "packets" {
			packets, _ = strconv.Atoi(words[i+1])
		}
		if w == "bytes" {
			bytes, _ = strconv.Atoi(words[i+1])
		}
	}
	return packets, bytes
}

// pings sends echo requests and fails the test unless all are answered. The
// arguments are those of ping(8).
func (h *host) pings(args ...string) {
	h.t.Helper()
	if out, err := h.ping(args...); err != nil {
		h.t.Fatalf("%v\n%s", err, out)
	}
}

// ping returns an error unless all echo requests are answered.
func (h *host) ping(args ...string) (string, error) {
	out, err := h.try(append([]string{"ping", "-n", "-W", "1"}, args...)...)
	if err == nil && !strings.Contains(out, " 0% packet loss") {
		err = errors.New("packets were lost")
	}
	return out, err
}

// reaches waits until an address answers without a tunnel: a new one of IPv6 is
// not there for its neighbours in the moment it was added.
func (h *host) reaches(address string) {
	h.t.Helper()
	address, _, _ = strings.Cut(address, "/")
	waitFor(h.t, patience, address+" can be reached", func() bool {
		_, err := h.try("ping", "-n", "-W", "0.1", "-c", "1", address)
		return err == nil
	})
}

// pingFails runs a ping that must not be answered.
func (h *host) pingFails(args ...string) string {
	h.t.Helper()
	out, err := h.ping(args...)
	if err == nil {
		h.t.Fatalf("%s: ping %v was answered, want it not to be\n%s", h.Name(), args, out)
	}
	return out
}

// enter runs a command of the machine in the host's network namespace alone:
// process ids are those the test sees.
func (h *host) enter(argv ...string) error { return h.enterPID(h.PID(), argv...) }

func (h *host) enterPID(pid int, argv ...string) error {
	argv = append([]string{"-n", "-t", strconv.Itoa(pid)}, argv...)
	if out, err := exec.Command("nsenter", argv...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %v: %w\n%s", h.Name(), argv, err, out)
	}
	return nil
}

// give moves an interface of the host to another one.
func (h *host) give(link string, to *host) {
	h.t.Helper()
	must(h.t, h.enter("ip", "link", "set", link, "netns", strconv.Itoa(to.PID())))
}

// up sets the link of a device up and waits until its sockets are open: the
// daemon hears of it from netlink. That this is soon is for TestLifeUpWorksSoon.
func (h *host) up(link string, sockets *host, port int) {
	h.t.Helper()
	h.ip("link set " + link + " up")
	waitFor(h.t, patience, link+" has its sockets", func() bool { return sockets.bound(port) })
	waitFor(h.t, patience, link+" has its addresses", func() bool { return h.settled(link) })
}

// settled reports whether packets to every IPv6 address of a link are taken: the
// kernel adds the routes for that some time after the addresses.
func (h *host) settled(link string) bool {
	addresses, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/if_inet6", h.PID()))
	routes, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/ipv6_route", h.PID()))
	for _, l := range strings.Split(string(addresses), "\n") {
		if f := strings.Fields(l); len(f) == 6 && f[5] == link && !strings.Contains(string(routes), f[0]+" 80 ") {
			return false
		}
	}
	return true
}

// bound reports whether UDP sockets of both families have a port of the host.
func (h *host) bound(port int) bool {
	for _, f := range []string{"udp", "udp6"} {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", h.PID(), f))
		if !strings.Contains(string(text), fmt.Sprintf(":%04X ", port)) {
			return false
		}
	}
	return true
}

// hasLink reports whether the host has an interface of this name.
func (h *host) hasLink(name string) bool {
	return h.enter("ip", "link", "show", name) == nil
}

// deviceOptions go to every `warren device`: how the suite is run with an
// implementation or a plan of choice, or without a feature of the system.
var deviceOptions = strings.Fields(os.Getenv("WARREN_DEVICE_OPTIONS"))

// device starts `warren device NAME` as a user does, and returns the daemon.
// Its log is printed if the test fails.
func (h *host) device(name string, env ...string) *daemon {
	h.t.Helper()
	d, err := h.start(name, env...)
	if err != nil {
		h.t.Fatal(err)
	}
	return d
}

func (h *host) start(name string, env ...string) (*daemon, error) {
	log, err := os.CreateTemp(h.t.TempDir(), name+"-*.log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := h.Command(ctx, append(append([]string{warren, "device"}, deviceOptions...), name)...)
	cmd.Env = append(append(cmd.Env, "LOG_LEVEL=verbose"), env...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := h.Start(cmd); err != nil {
		return nil, err
	}
	if err := cmd.Wait(); err != nil {
		said, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("warren device %s: %w\n%s", name, err, said)
	}
	d := &daemon{h: h, name: name, log: log.Name()}
	if d.pid = d.find(); d.pid == 0 {
		return nil, fmt.Errorf("warren device %s returned, and there is no daemon", name)
	}
	h.t.Cleanup(d.finish)
	return d, nil
}

// daemon is a running `warren device`.
type daemon struct {
	h     *host
	name  string
	log   string
	pid   int  // as the test sees it
	ended bool // the test wants it to have ended
}

// find returns the process id of the daemon, 0 if there is none.
func (d *daemon) find() int {
	own, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", d.h.PID()))
	if err != nil {
		return 0
	}
	want := strings.Join(append(append([]string{warren, "device"}, deviceOptions...), d.name, ""), "\x00")
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, l := range lines {
		if text, _ := os.ReadFile(l); string(text) != want {
			continue
		}
		if ns, _ := os.Readlink(filepath.Join(filepath.Dir(l), "ns/mnt")); ns == own {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(l)))
			return pid
		}
	}
	return 0
}

// alive reports whether the process runs.
func (d *daemon) alive() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// finish sees to it that a daemon did not end by itself.
func (d *daemon) finish() {
	if !d.ended && !d.alive() {
		d.h.t.Errorf("the daemon of %s on %s has ended", d.name, d.h.Name())
	}
	if d.h.t.Failed() {
		text, _ := os.ReadFile(d.log)
		if len(text) > 4000 {
			text = append([]byte("... "), text[len(text)-4000:]...)
		}
		d.h.t.Logf("log of %s on %s:\n%s", d.name, d.h.Name(), text)
	}
}

// hasSocket reports whether the control socket exists.
func (d *daemon) hasSocket() bool {
	_, err := os.Lstat(fmt.Sprintf("/proc/%d/root/run/wireguard/%s.sock", d.h.PID(), d.name))
	return err == nil
}

// waitEnded waits until the daemon has ended as it should: no process, no
// socket.
func (d *daemon) waitEnded(within time.Duration) {
	d.h.t.Helper()
	d.ended = true
	waitFor(d.h.t, within, fmt.Sprintf("the daemon of %s has ended", d.name), func() bool { return !d.alive() })
	if d.hasSocket() {
		d.h.t.Errorf("the daemon of %s has ended, and its socket is still there", d.name)
	}
}

func (d *daemon) signal(s syscall.Signal) {
	d.h.t.Helper()
	must(d.h.t, syscall.Kill(d.pid, s))
}

// fds counts the open descriptors of the daemon.
func (d *daemon) fds() int {
	all, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.pid))
	return len(all)
}

// memory returns resident memory in bytes.
func (d *daemon) memory() int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", d.pid))
	if err != nil {
		return 0
	}
	pages, _ := strconv.Atoi(strings.Fields(string(text))[1])
	return pages * os.Getpagesize()
}

// peak returns the most resident memory the daemon has had, in bytes.
func (d *daemon) peak() int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kib, _ := strconv.Atoi(strings.Fields(rest)[0])
	return kib << 10
}

// cpu returns the time the daemon has used on processors.
func (d *daemon) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	f := strings.Fields(rest)
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// server is a command that runs beside the test.
type server struct {
	cmd  *exec.Cmd
	out  bytes.Buffer
	done chan error
}

// background starts a command that ends with the test.
func (h *host) background(argv ...string) *server {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &server{done: make(chan error, 1)}
	s.cmd = h.Command(ctx, argv...)
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	if err := h.Start(s.cmd); err != nil {
		cancel()
		h.t.Fatal(err)
	}
	go func() { s.done <- s.cmd.Wait() }()
	h.t.Cleanup(cancel)
	return s
}

// wait waits for the end of the command and returns what it printed.
func (s *server) wait(t *testing.T) string {
	t.Helper()
	select {
	case err := <-s.done:
		if err != nil {
			t.Fatalf("%v: %v\n%s", s.cmd.Args, err, s.out.String())
		}
	case <-time.After(patience):
		t.Fatalf("%v did not end in %v", s.cmd.Args, patience)
	}
	return s.out.String()
}

// listens reports whether something in the host accepts TCP connections on a
// port.
func (h *host) listens(port int) bool {
	want := fmt.Sprintf(":%04X 0", port)
	for _, f := range []string{"tcp", "tcp6"} {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", h.PID(), f))
		for _, l := range strings.Split(string(text), "\n") {
			if strings.Contains(l, want) && strings.Contains(l, " 0A ") {
				return true
			}
		}
	}
	return false
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// waitFor waits for something that another process brings about, and returns
// how long that took.
func waitFor(t *testing.T, within time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	begin := time.Now()
	for !ok() {
		if time.Since(begin) > within {
			t.Fatalf("not after %v: %s", within, what)
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(begin)
}
