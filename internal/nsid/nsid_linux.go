package nsid

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	ofThread  = "/proc/thread-self/ns/net"
	mountInfo = "/proc/self/mountinfo"
	// namedDir is where ip-netns(8) mounts the namespaces that have a name.
	namedDir = "/run/netns"
)

// Boot returns the id of this run of the kernel.
func Boot() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(text)), nil
}

// Current returns the network namespace of the calling thread.
func Current() (ID, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	inode, err := Inode(ofThread)
	if err != nil {
		return ID{}, err
	}
	return ID{inode, cookie()}, nil
}

// PIDs returns the process namespace of this process: it decides which
// processes can be seen.
func PIDs() (uint64, error) { return Inode("/proc/self/ns/pid") }

// Inode returns the number of the namespace that a file leads to.
func Inode(path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return st.Ino, nil
}

// cookie is that of the calling thread's network namespace: any socket knows it,
// from Linux 5.14 on.
func cookie() uint64 {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	value, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return 0
	}
	return value
}

// Exists reports whether a network namespace is still there, as far as this
// process can see: a process or thread is in it, or it is mounted somewhere. In
// doubt it is. This looks at all processes.
func Exists(id ID) bool {
	for _, pattern := range [...]string{"/proc/[0-9]*/ns/net", "/proc/[0-9]*/task/[0-9]*/ns/net", namedDir + "/*"} {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			if leadsTo(path, id) {
				return true
			}
		}
	}
	f, err := os.Open(mountInfo)
	if err != nil {
		return true
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		// proc_pid_mountinfo(5): the fourth field is what of the file system is
		// mounted, the fifth where.
		fields := strings.Fields(lines.Text())
		if len(fields) > 4 && fields[3] == id.String() && leadsTo(unescape(fields[4]), id) {
			return true
		}
	}
	return lines.Err() != nil
}

// leadsTo reports whether a file leads to a network namespace.
func leadsTo(path string, id ID) bool {
	if inode, err := Inode(path); err != nil || inode != id.Inode {
		return false
	}
	if id.Cookie == 0 {
		return true
	}
	there, err := cookieOf(path)
	return err != nil || there == 0 || there == id.Cookie
}

// cookieOf goes into a network namespace, and back, to ask for its cookie.
func cookieOf(path string) (uint64, error) {
	type answer struct {
		cookie uint64
		err    error
	}
	answers := make(chan answer)
	go func() {
		runtime.LockOSThread()
		var a answer
		var back bool
		if a.cookie, back, a.err = visit(path); back {
			runtime.UnlockOSThread() // or else the thread is used for nothing more
		}
		answers <- a
	}()
	a := <-answers
	return a.cookie, a.err
}

// visit returns the cookie of a network namespace, and whether the thread is
// where it was before.
func visit(path string) (value uint64, back bool, err error) {
	home, err := unix.Open(ofThread, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, true, err
	}
	defer unix.Close(home)
	there, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, true, err
	}
	defer unix.Close(there)
	if err := unix.Setns(there, unix.CLONE_NEWNET); err != nil {
		return 0, true, err
	}
	value = cookie()
	err = unix.Setns(home, unix.CLONE_NEWNET)
	return value, err == nil, err
}

// unescape undoes what mountinfo does to spaces and the like in a path.
func unescape(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}
