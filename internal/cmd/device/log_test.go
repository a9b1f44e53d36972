package device

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/warrenvpn/warren/key"
)

func TestLineHasTheKnownShape(t *testing.T) {
	var k key.Public
	for i := range k {
		k[i] = byte(i)
	}
	for _, c := range []struct {
		say  func(*slog.Logger)
		want string
	}{
		{func(l *slog.Logger) { l.Error("cannot bind", "port", 51820) }, `^ERROR: \(wg0\) \d{4}/\d\d/\d\d \d\d:\d\d:\d\d cannot bind port=51820\n$`},
		{func(l *slog.Logger) { l.Debug("sent", "peer", k) }, `^DEBUG: \(wg0\) [0-9/]+ [0-9:]+ peer\(AAEC…dHh8\) - sent\n$`},
		{func(l *slog.Logger) { l.With("peer", k.String()).Info("x", "error", "two words") }, `^DEBUG: .* peer\(AAEC….*\) - x error="two words"\n$`},
		{func(l *slog.Logger) { l.WithGroup("udp").Warn("x", "n", 1) }, `^ERROR: .* x udp\.n=1\n$`},
	} {
		var buf bytes.Buffer
		c.say(slog.New(&handler{sink: &lines{w: &buf, iface: "wg0"}, min: slog.LevelDebug}))
		if !regexp.MustCompile(c.want).MatchString(buf.String()) {
			t.Errorf("got %q, want a match of %s", buf.String(), c.want)
		}
	}
}

func TestLevels(t *testing.T) {
	for _, c := range []struct {
		settings settings
		want     string // the letters of the levels that are written
	}{
		{settings{log: errorsOnly, readyFD: -1}, "WE"},
		{settings{log: everything, readyFD: -1}, "DIWE"},
		{settings{log: silent, readyFD: -1}, ""},
		{settings{log: errorsOnly, readyFD: 5, keepOutput: true}, "WE"},
	} {
		var buf bytes.Buffer
		l, _ := newLog(&c.settings, "wg0", &buf)
		l.Debug("levelD")
		l.Info("levelI")
		l.Warn("levelW")
		l.Error("levelE")
		got := ""
		for _, m := range regexp.MustCompile(`level([DIWE])`).FindAllStringSubmatch(buf.String(), -1) {
			got += m[1]
		}
		if got != c.want {
			t.Errorf("%+v: levels %q are written, want %q", c.settings, got, c.want)
		}
	}
}

func TestLogFileIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "wg0.log")
	f, err := openBounded(path)
	if err != nil {
		t.Fatal(err)
	}
	line := bytes.Repeat([]byte("x"), 1000)
	for range 3000 {
		if _, err := f.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() == 0 || info.Size() > maxLogFile {
		t.Errorf("size %v, error %v, want at most %d and not empty", info, err, maxLogFile)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode().Perm())
	}
}

func TestFieldNamesFitTheJournal(t *testing.T) {
	if got := fieldName("udp.rx-errors"); got != "UDP_RX_ERRORS" {
		t.Errorf("got %q", got)
	}
}
