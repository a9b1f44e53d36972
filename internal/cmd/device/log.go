package device

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// entry is one line of the log, ready for a sink.
type entry struct {
	time  time.Time
	level slog.Level
	text  string            // message, then key=value of every attribute but the peer
	attrs map[string]string // the attributes by key, for sinks that keep structure
}

// sink is where entries go.
type sink interface {
	write(e entry) error
}

// handler is a slog.Handler that flattens records into entries.
type handler struct {
	sink   sink
	min    slog.Level
	prefix string // of keys, from WithGroup
	attrs  []slog.Attr
}

// Enabled reports whether records of this level are kept.
func (h *handler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.min }

// WithAttrs returns a handler that adds attributes to every record.
func (h *handler) WithAttrs(as []slog.Attr) slog.Handler {
	c := *h
	c.attrs = append([]slog.Attr(nil), h.attrs...)
	for _, a := range as {
		c.attrs = append(c.attrs, slog.Attr{Key: h.prefix + a.Key, Value: a.Value})
	}
	return &c
}

// WithGroup returns a handler whose further keys begin with name and a dot.
func (h *handler) WithGroup(name string) slog.Handler {
	c := *h
	c.prefix += name + "."
	return &c
}

// Handle passes one record to the sink.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	e := entry{time: r.Time, level: r.Level, attrs: map[string]string{}}
	var peer string
	var tail strings.Builder
	add := func(a slog.Attr) bool {
		v := a.Value.Resolve()
		if a.Key == "" || v.Equal(slog.Value{}) {
			return true
		}
		e.attrs[a.Key] = v.String()
		if a.Key == "peer" {
			peer = shortPeer(v.String())
			return true
		}
		fmt.Fprintf(&tail, " %s=%s", a.Key, quoted(v.String()))
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(func(a slog.Attr) bool { a.Key = h.prefix + a.Key; return add(a) })
	e.text = r.Message + tail.String()
	if peer != "" {
		e.text = peer + " - " + e.text
	}
	return h.sink.write(e)
}

// shortPeer shows a public key as people know it from other implementations:
// four characters from each end of its base64 form, without the padding.
func shortPeer(k string) string {
	k = strings.TrimSuffix(k, "=")
	if len(k) < 8 {
		return "peer(" + k + ")"
	}
	return "peer(" + k[:4] + "…" + k[len(k)-4:] + ")"
}

func quoted(v string) string {
	if v == "" || strings.ContainsAny(v, " \t\n\"=") {
		return fmt.Sprintf("%q", v)
	}
	return v
}

// lines writes the shape that scripts know from wireguard-go:
//
//	ERROR: (wg0) 2026/11/23 21:21:07 message
//
// Its one mutex guards w.
type lines struct {
	mu    sync.Mutex
	w     io.Writer
	iface string
}

func (l *lines) write(e entry) error {
	label := "DEBUG"
	if e.level >= slog.LevelWarn {
		label = "ERROR"
	}
	line := fmt.Sprintf("%s: (%s) %s %s\n", label, l.iface, e.time.Format("2006/01/02 15:04:05"), e.text)
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := io.WriteString(l.w, line)
	return err
}
