package device

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/coreos/go-systemd/v22/journal"

	"github.com/warrenvpn/warren/uapi"
)

// identifier is the program's name in the journal and in syslog.
const identifier = "warren"

// newLog returns the logger that s asks for, and where it writes in one word.
//
// In the foreground, and in the background with LOG_LEVEL set, lines go to
// stdout. In the background without it there is nobody to read stdout: they go
// to the journal, else to syslog, else to a file beside the control socket.
// Only LOG_LEVEL=silent makes them go nowhere.
func newLog(s *settings, iface string, stdout io.Writer) (*slog.Logger, string) {
	low := slog.LevelWarn
	if s.log == everything {
		low = slog.LevelDebug
	}
	switch {
	case s.log == silent:
		return slog.New(slog.DiscardHandler), "nowhere"
	case !s.background() || s.keepOutput:
		return slog.New(&handler{sink: &lines{w: stdout, iface: iface}, min: low}), "stdout"
	}
	// A log that is kept also tells of start and end.
	to, name := backgroundSink(iface)
	return slog.New(&handler{sink: to, min: min(low, slog.LevelInfo)}), name
}

func backgroundSink(iface string) (sink, string) {
	if journal.Enabled() {
		return journalSink{iface}, "journal"
	}
	if s, err := openSyslog(iface); err == nil {
		return s, "syslog"
	}
	if f, err := openBounded(logFile(iface)); err == nil {
		return &lines{w: f, iface: iface}, f.path
	}
	return &lines{w: os.Stderr, iface: iface}, "stderr"
}

// journalSink writes to the systemd journal, attributes as fields.
type journalSink struct{ iface string }

func (j journalSink) write(e entry) error {
	fields := map[string]string{"SYSLOG_IDENTIFIER": identifier, "WARREN_IFACE": j.iface}
	for k, v := range e.attrs {
		fields["WARREN_"+fieldName(k)] = v
	}
	return journal.Send(j.iface+": "+e.text, journal.Priority(severity(e.level)), fields)
}

// fieldName turns an attribute key into what the journal accepts.
func fieldName(key string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, key)
}

// severity is the syslog severity of a level (RFC 5424, table 2).
func severity(l slog.Level) int {
	switch {
	case l >= slog.LevelError:
		return 3
	case l >= slog.LevelWarn:
		return 4
	case l >= slog.LevelInfo:
		return 6
	}
	return 7
}

// stateDir holds the control sockets, and logs where there is no better place.
const stateDir = uapi.Dir

func logFile(iface string) string   { return filepath.Join(stateDir, iface+".log") }
func crashFile(iface string) string { return filepath.Join(stateDir, iface+".crash") }

// maxLogFile bounds a log file; when it is full it begins anew.
const maxLogFile = 1 << 20

// bounded is a log file of limited size. Used under the mutex of lines.
type bounded struct {
	path string
	f    *os.File
	n    int64
}

func openBounded(path string) (*bounded, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	return &bounded{path: path, f: f}, nil
}

// Write appends p, after emptying a file that would grow past its limit.
func (b *bounded) Write(p []byte) (int, error) {
	if b.n+int64(len(p)) > maxLogFile {
		if err := b.f.Truncate(0); err != nil {
			return 0, err
		}
		if _, err := b.f.Seek(0, io.SeekStart); err != nil {
			return 0, err
		}
		b.n = 0
	}
	n, err := b.f.Write(p)
	b.n += int64(n)
	return n, err
}
