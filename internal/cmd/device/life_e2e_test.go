//go:build linux && e2e

package device

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The tests run the command as processes of their own: this test binary, told
// by the environment to be it. All of it happens in a network and a mount
// namespace made for the run, so nothing is left behind.
const (
	envBeCommand = "WARREN_TEST_BE_COMMAND"
	envInside    = "WARREN_TEST_INSIDE"
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(envBeCommand) != "":
		os.Exit(Main(filepath.Base(os.Args[0]), os.Args[1:], "test"))
	case os.Getenv(envInside) == "":
		os.Exit(runInside())
	}
	if err := prepareInside(); err != nil {
		fmt.Fprintln(os.Stderr, "prepare namespaces:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func runInside() int {
	c := exec.Command("/proc/self/exe", os.Args[1:]...)
	c.Env = append(os.Environ(), envInside+"=1")
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err := c.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "make namespaces (needs root):", err)
		return 1
	}
	return 0
}

func prepareInside() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	// No journal and no syslog in here, so that logs go to the file; and a
	// directory for sockets that is ours.
	for _, dir := range []string{"/run/systemd", "/run/wireguard"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("none", dir, "tmpfs", 0, "mode=0755"); err != nil {
			return err
		}
	}
	return nil
}

// command returns the command with arguments, not started yet.
func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.Command("/proc/self/exe", args...)
	c.Args[0] = "wireguard-go"
	c.Env = append(os.Environ(), envBeCommand+"=1", "LOG_LEVEL=")
	c.Env = append(c.Env, env...)
	return c
}

// start runs the command until it returns, and ends the daemon with the test.
func start(t *testing.T, name string, env ...string) (output string) {
	t.Helper()
	out, err := command(t, env, name).CombinedOutput()
	if err != nil {
		t.Fatalf("start: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		_ = os.Remove(socketPath(name))
		eventually(t, "the interface is gone", func() bool { return !linkExists(name) })
	})
	return string(out)
}

func socketPath(name string) string { return filepath.Join(stateDir, name+".sock") }

func linkExists(name string) bool {
	_, err := net.InterfaceByName(name)
	return err == nil
}

// get asks the daemon for its state.
func get(name string) (map[string]string, error) {
	c, err := net.Dial("unix", socketPath(name))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if _, err := io.WriteString(c, "get=1\n\n"); err != nil {
		return nil, err
	}
	values := map[string]string{}
	lines := bufio.NewScanner(c)
	for lines.Scan() && lines.Text() != "" {
		k, v, _ := strings.Cut(lines.Text(), "=")
		values[k] = v
	}
	if values["errno"] != "0" {
		return nil, fmt.Errorf("reply %v", values)
	}
	return values, nil
}

// eventually waits for something that another process brings about.
func eventually(t *testing.T, what string, ok func() bool) time.Duration {
	t.Helper()
	begin := time.Now()
	for !ok() {
		if time.Since(begin) > 10*time.Second {
			t.Fatalf("not after 10 s: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(begin)
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func hasPort(name string) func() bool {
	return func() bool {
		v, err := get(name)
		return err == nil && v["listen_port"] != ""
	}
}

// When the command returns, everything is there: the link, down, and a socket
// that answers. A link that goes up works within 50 ms.
func TestStartReturnsWhenItWorks(t *testing.T) {
	if out := start(t, "life0"); out != "" {
		t.Errorf("it printed %q, want nothing", out)
	}
	link, err := net.InterfaceByName("life0")
	if err != nil {
		t.Fatal(err)
	}
	if link.Flags&net.FlagUp != 0 || link.MTU != defaultMTU {
		t.Errorf("link is %v with MTU %d, want down with %d", link.Flags, link.MTU, defaultMTU)
	}
	v, err := get("life0")
	if err != nil {
		t.Fatal(err)
	}
	if v["listen_port"] != "" {
		t.Errorf("it has port %s while the link is down", v["listen_port"])
	}
	info, err := os.Stat(socketPath("life0"))
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("socket has mode %v, error %v, want it for its owner alone", info.Mode(), err)
	}
	ip(t, "link", "set", "life0", "up")
	if took := eventually(t, "a port is open", hasPort("life0")); took > 50*time.Millisecond {
		t.Errorf("the link was up for %v before a port was open, want at most 50 ms", took)
	}
	ip(t, "link", "set", "life0", "down")
}

// The reference loses this race: the link goes to another namespace in the
// moment the command returns, and comes up there.
func TestLinkIsMovedAtOnce(t *testing.T) {
	other := exec.Command("sleep", "60")
	other.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	pid := strconv.Itoa(other.Process.Pid)
	inside := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("nsenter", append([]string{"-t", pid, "-n", "ip"}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v there: %v\n%s", args, err, out)
		}
	}
	for i := range 5 {
		name := fmt.Sprintf("move%d", i)
		start(t, name)
		ip(t, "link", "set", name, "netns", pid)
		inside("link", "set", name, "up")
		eventually(t, "the move was noticed and a port is open", hasPort(name))
		inside("link", "set", name, "down")
		inside("link", "set", name, "up")
		if _, err := get(name); err != nil {
			t.Error(err)
		}
	}
}

// Each way to end leaves nothing: no process, no link, no socket.
func TestWaysToEnd(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*exec.Cmd)
	}{
		{"SIGTERM", func(c *exec.Cmd) { _ = c.Process.Signal(syscall.SIGTERM) }},
		{"SIGINT", func(c *exec.Cmd) { _ = c.Process.Signal(syscall.SIGINT) }},
		{"link deleted", func(*exec.Cmd) { ip(t, "link", "delete", "end0") }},
		{"socket removed", func(*exec.Cmd) { _ = os.Remove(socketPath("end0")) }},
	} {
		for _, up := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, up %v", c.name, up), func(t *testing.T) {
				cmd := command(t, nil, "-f", "end0")
				var out strings.Builder
				cmd.Stdout, cmd.Stderr = &out, &out
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				defer func() { _ = cmd.Process.Kill() }()
				eventually(t, "it answers", func() bool { _, err := get("end0"); return err == nil })
				if up {
					ip(t, "link", "set", "end0", "up")
					eventually(t, "a port is open", hasPort("end0"))
				}
				c.end(cmd)
				if err := cmd.Wait(); err != nil {
					t.Errorf("it ended with %v, want exit 0\n%s", err, out.String())
				}
				if linkExists("end0") {
					t.Error("the link is still there")
				}
				if _, err := os.Lstat(socketPath("end0")); !os.IsNotExist(err) {
					t.Errorf("the socket is still there: %v", err)
				}
				if out.Len() > 0 {
					t.Errorf("it printed %q, want nothing without LOG_LEVEL", out.String())
				}
			})
		}
	}
}

func TestBackgroundLogsToAFile(t *testing.T) {
	start(t, "log0")
	text, err := os.ReadFile(logFile("log0"))
	if err != nil || !strings.Contains(string(text), "DEBUG: (log0) ") || !strings.Contains(string(text), "starting") {
		t.Errorf("the log is %q, error %v, want the line of the start", text, err)
	}
}

func TestBackgroundKeepsStdoutWhenAskedTo(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := command(t, []string{"LOG_LEVEL=debug"}, "log1")
	cmd.Stdout = w
	err = cmd.Run()
	_ = w.Close()
	if err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(socketPath("log1"))
	text, err := io.ReadAll(r) // until the daemon has ended
	if err != nil || !strings.Contains(string(text), "DEBUG: (log1) ") {
		t.Errorf("stdout got %q, error %v, want lines of the daemon", text, err)
	}
}

// A TUN and a listening socket that somebody else opened are taken over, under
// their real names.
func TestDescriptorsAreAdopted(t *testing.T) {
	for _, where := range []string{"background", "foreground"} {
		t.Run(where, func(t *testing.T) {
			queue, name := openTUN(t)
			socket := listenOn(t, socketPath(name))
			env := []string{"WG_TUN_FD=3", "WG_UAPI_FD=4"}
			if where == "foreground" {
				env = append(env, "WG_PROCESS_FOREGROUND=1")
			}
			cmd := command(t, env, "whatever")
			cmd.ExtraFiles = []*os.File{queue, socket}
			var out strings.Builder
			cmd.Stderr = &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if where == "background" {
				if err := cmd.Wait(); err != nil {
					t.Fatalf("%v\n%s", err, out.String())
				}
			}
			_ = socket.Close()
			eventually(t, "it answers", func() bool { _, err := get(name); return err == nil })
			endDaemon(t, "whatever")
			if where == "foreground" {
				if err := cmd.Wait(); err != nil {
					t.Errorf("%v\n%s", err, out.String())
				}
			}
		})
	}
}

// openTUN opens a TUN as a container manager would, under a name the kernel
// chooses.
func openTUN(t *testing.T) (*os.File, string) {
	t.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	queue := os.NewFile(uintptr(fd), "tun")
	t.Cleanup(func() { _ = queue.Close() })
	ifr, err := unix.NewIfreq("given%d")
	if err != nil {
		t.Fatal(err)
	}
	ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		t.Fatal(err)
	}
	return queue, ifr.Name()
}

func listenOn(t *testing.T, path string) *os.File {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	defer l.Close()
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// endDaemon sends SIGTERM to the one process of ours with this argument.
func endDaemon(t *testing.T, arg string) {
	t.Helper()
	entries, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, e := range entries {
		line, _ := os.ReadFile(e)
		if string(line) != "wireguard-go\x00"+arg+"\x00" {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(e)))
		_ = syscall.Kill(pid, syscall.SIGTERM)
		eventually(t, "the daemon has ended", func() bool { return hasEnded(pid) })
		return
	}
	t.Errorf("no daemon with the argument %q", arg)
}

// hasEnded reports whether a process is gone, or waits for nothing but its
// parent's attention.
func hasEnded(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func TestErrorsSayWhatToDo(t *testing.T) {
	start(t, "busy0")
	answering, err := net.Listen("unix", socketPath("taken0"))
	if err != nil {
		t.Fatal(err)
	}
	defer answering.Close()
	nobody := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	for _, c := range []struct {
		name string
		args []string
		attr *syscall.SysProcAttr
		env  []string
		want []string
	}{
		{"no argument", nil, nil, nil, []string{"Usage:"}},
		{"name too long", []string{"abcdefghijklmnop"}, nil, nil, []string{"16 characters", "15"}},
		{"name in use", []string{"busy0"}, nil, nil, []string{"busy0", "hint:"}},
		{"other kind of link", []string{"lo"}, nil, nil, []string{`"lo"`}},
		{"socket in use", []string{"taken0"}, nil, nil, []string{"taken0.sock", "in use"}},
		{"no permission", []string{"perm0"}, nobody, nil, []string{"hint:", "CAP_NET_ADMIN"}},
		{"no such descriptor", []string{"fd0"}, nil, []string{"WG_TUN_FD=77"}, []string{"descriptor 77"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := command(t, c.env, c.args...)
			cmd.SysProcAttr = c.attr
			out, err := cmd.CombinedOutput()
			if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Errorf("it ended with %v, want exit 1", err)
			}
			for _, w := range c.want {
				if !strings.Contains(string(out), w) {
					t.Errorf("it printed %q, want %q in it", out, w)
				}
			}
		})
	}
	if _, err := get("busy0"); err != nil {
		t.Errorf("the daemon that was there first does not answer any more: %v", err)
	}
	if linkExists("taken0") {
		t.Error("a link was left behind by a start that failed")
	}
}

func TestNoTUNDeviceHasAHint(t *testing.T) {
	if err := unix.Mount("none", "/dev/net", "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Unmount("/dev/net", 0) }()
	out, err := command(t, nil, "none0").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "modprobe tun") {
		t.Errorf("error %v, printed %q, want a hint about the driver", err, out)
	}
}

// An error of the background process is printed where the user is.
func TestErrorOfTheBackgroundProcessIsReported(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := command(t, []string{"WG_TUN_FD=77", "WARREN_READY_FD=3", "WG_PROCESS_FOREGROUND=1"}, "wg0")
	cmd.ExtraFiles = []*os.File{write}
	_ = cmd.Run()
	_ = write.Close()
	said, _ := io.ReadAll(read)
	if !strings.HasPrefix(string(said), "-") || !strings.Contains(string(said), "descriptor 77") {
		t.Errorf("it said %q, want a minus and the error", said)
	}
}

// The daemon has the priority and the policy that it was started with, or the
// priority that it is told to take.
func TestPriority(t *testing.T) {
	for i, tc := range []struct {
		name       string
		with       []string // in front of the command
		options    []string
		nice       int
		policy     uint32
		autogroups string // ending of the line of autogroup, where the kernel has it
	}{
		{"by itself", nil, nil, 0, unix.SCHED_NORMAL, "nice 0\n"},
		{"urgent", nil, []string{"--nice", "-20"}, -20, unix.SCHED_NORMAL, "nice -20\n"},
		{"asked for", nil, []string{"--nice", "3"}, 3, unix.SCHED_NORMAL, "nice 3\n"},
		{"nice", []string{"nice", "-n", "7"}, nil, 7, unix.SCHED_NORMAL, "nice 0\n"},
		{"policy", []string{"chrt", "-b", "0"}, nil, 0, unix.SCHED_BATCH, "nice 0\n"},
		{"policy, and asked for", []string{"chrt", "-b", "0"}, []string{"--nice", "-3"}, -3, unix.SCHED_NORMAL, "nice -3\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			name := "wgnice" + strconv.Itoa(i)
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			args := slices.Concat(tc.with, []string{self}, tc.options, []string{name})
			c := command(t, nil)
			c.Path, c.Args = args[0], args
			if c.Path, err = exec.LookPath(args[0]); err != nil {
				t.Fatal(err)
			}
			if out, err := c.CombinedOutput(); err != nil {
				t.Fatalf("start: %v\n%s", err, out)
			}
			defer eventually(t, "the interface is gone", func() bool { _ = os.Remove(socketPath(name)); return !linkExists(name) })
			pid := daemonOf(t, name)
			tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/[0-9]*", pid))
			if err != nil || len(tasks) == 0 {
				t.Fatalf("%v, %v", tasks, err)
			}
			for _, task := range tasks {
				id, _ := strconv.Atoi(filepath.Base(task))
				a, err := unix.SchedGetAttr(id, 0)
				if errors.Is(err, unix.ESRCH) {
					continue
				}
				if err != nil || int(a.Nice) != tc.nice || a.Policy != tc.policy {
					t.Errorf("thread %d: %+v, %v, want nice %d and policy %d", id, a, err, tc.nice, tc.policy)
				}
			}
			group, err := os.ReadFile(fmt.Sprintf("/proc/%d/autogroup", pid))
			if err == nil && !strings.HasSuffix(string(group), tc.autogroups) {
				t.Errorf("its session: %q, want %q at the end", group, tc.autogroups)
			}
		})
	}
}

// daemonOf returns the process that serves an interface: the only one whose
// command line ends with the name.
func daemonOf(t *testing.T, name string) int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		line, err := os.ReadFile(f)
		if err == nil && strings.HasSuffix(string(line), "\x00"+name+"\x00") {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
			return pid
		}
	}
	t.Fatalf("no process serves %s", name)
	return 0
}

// A priority that is refused is one clear error, and no interface is left.
func TestRefusedPriority(t *testing.T) {
	for _, option := range []string{"--foreground", "--lanes=1"} {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		setpriv, err := exec.LookPath("setpriv")
		if err != nil {
			t.Fatal(err)
		}
		const name = "wgnice"
		c := command(t, nil)
		c.Path = setpriv
		c.Args = []string{"setpriv", "--bounding-set", "-sys_nice", "--inh-caps", "-sys_nice", self, option, "--nice", "-5", name}
		out, err := c.CombinedOutput()
		const want = "set priority: nice -5: operation not permitted\nhint: "
		if err == nil || strings.Count(string(out), want) != 1 || !strings.Contains(string(out), "CAP_SYS_NICE") {
			t.Errorf("%s: %v, said\n%s\nwant %q and what it takes", option, err, out, want)
		}
		if linkExists(name) {
			t.Errorf("%s: the interface is left", option)
		}
		if _, err := os.Stat(socketPath(name)); err == nil {
			t.Errorf("%s: the socket is left", option)
		}
	}
}
