//go:build linux && e2e

package complete

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is an interactive shell that a test types into.
type terminal struct {
	t      *testing.T
	master *os.File
	seen   strings.Builder
	typed  int
}

// openTerminal starts a shell on a pseudo terminal.
func openTerminal(t *testing.T, env []string, argv ...string) *terminal {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatalf("open a pseudo terminal: %v", err)
	}
	master := os.NewFile(uintptr(fd), "/dev/ptmx") // non-blocking, so that it has deadlines
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 100, Col: 400}); err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = master.Close()
	})
	return &terminal{t: t, master: master}
}

// ask types a line with TAB at its end, twice, and returns what the shell shows
// until it carries out what is then typed before the line: a mark, and a sign
// that makes the rest a comment.
func (x *terminal) ask(line string) string {
	return x.run(line+"\t\t", "\x01echo 'SHOWN'%[1]d'.' # \r", "SHOWN%d.")
}

// insert types a line with TAB at its end and returns the line as it is then,
// a bar behind it.
func (x *terminal) insert(line string) string {
	out := x.run(line+"\t", "'|'\x01echo 'LINE'%[1]d'[' \r", "LINE%d[ ")
	end := strings.IndexAny(out, "\r\n")
	return out[:max(end, 0)]
}

// run types keys and then more, numbered, and reads until the mark.
func (x *terminal) run(keys, more, mark string) string {
	x.t.Helper()
	x.typed++
	mark = fmt.Sprintf(mark, x.typed)
	before := x.seen.Len()
	if _, err := x.master.WriteString(keys + fmt.Sprintf(more, x.typed)); err != nil {
		x.t.Fatal(err)
	}
	x.until(func(text string) bool {
		i := strings.Index(text, mark)
		return i >= 0 && strings.Contains(text[i:], "\n")
	}, before)
	text := x.seen.String()[before:]
	i := strings.Index(text, mark)
	if strings.HasPrefix(mark, "LINE") {
		return text[i+len(mark):]
	}
	return text[:i]
}

// until reads until done likes what was read since a position.
func (x *terminal) until(done func(string) bool, from int) {
	x.t.Helper()
	_ = x.master.SetReadDeadline(time.Now().Add(20 * time.Second))
	buf := make([]byte, 4096)
	for !done(x.seen.String()[from:]) {
		n, err := x.master.Read(buf)
		x.seen.Write(buf[:n])
		if err != nil {
			x.t.Fatalf("read from the shell: %v; so far:\n%q", err, x.seen.String()[from:])
		}
	}
}
