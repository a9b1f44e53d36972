//go:build unix

package device

import (
	"log/slog"
	"log/syslog"
)

// syslogSink writes to the local syslog daemon.
type syslogSink struct {
	w     *syslog.Writer
	iface string
}

func openSyslog(iface string) (sink, error) {
	w, err := syslog.New(syslog.LOG_DAEMON|syslog.LOG_INFO, identifier)
	if err != nil {
		return nil, err
	}
	return syslogSink{w, iface}, nil
}

func (s syslogSink) write(e entry) error {
	text := s.iface + ": " + e.text
	switch {
	case e.level >= slog.LevelError:
		return s.w.Err(text)
	case e.level >= slog.LevelWarn:
		return s.w.Warning(text)
	case e.level >= slog.LevelInfo:
		return s.w.Info(text)
	}
	return s.w.Debug(text)
}
