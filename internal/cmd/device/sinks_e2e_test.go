//go:build linux && e2e

package device

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// datagrams listens on a unix socket as a log daemon does, and returns a
// function that waits for a datagram with all of want in it.
func datagrams(t *testing.T, path string) (expect func(want ...string)) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(); _ = os.Remove(path) })
	return func(want ...string) {
		t.Helper()
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		var seen []string
		for buf := make([]byte, 64<<10); ; {
			n, err := c.Read(buf)
			if err != nil {
				t.Fatalf("no datagram with %q came, but %q: %v", want, seen, err)
			}
			seen = append(seen, string(buf[:n]))
			missing := false
			for _, w := range want {
				missing = missing || !strings.Contains(seen[len(seen)-1], w)
			}
			if !missing {
				return
			}
		}
	}
}

func TestBackgroundLogsToTheJournal(t *testing.T) {
	expect := datagrams(t, "/run/systemd/journal/socket")
	start(t, "jour0")
	expect("jour0: starting", "SYSLOG_IDENTIFIER=warren", "WARREN_IFACE=jour0", "WARREN_VERSION=test", "PRIORITY=6")
	if _, err := os.Stat(logFile("jour0")); err == nil {
		t.Error("there is a log file beside the journal")
	}
}

func TestBackgroundLogsToSyslog(t *testing.T) {
	expect := datagrams(t, "/var/run/syslog")
	start(t, "sysl0")
	expect("warren[", "sysl0: starting")
}

// A log that nobody reads any more is no reason to end.
func TestDaemonSurvivesItsReader(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := command(t, []string{"LOG_LEVEL=debug"}, "pipe0")
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Run()
	_ = w.Close()
	_ = r.Close()
	if err != nil {
		t.Fatal(err)
	}
	ip(t, "link", "set", "pipe0", "up")
	eventually(t, "a port is open", hasPort("pipe0"))
	_ = os.Remove(socketPath("pipe0"))
	eventually(t, "the interface is gone", func() bool { return !linkExists("pipe0") })
}
