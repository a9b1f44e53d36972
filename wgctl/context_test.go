package wgctl

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/warrenvpn/warren/conf"
)

// A device that accepts and never answers is not waited for once the context
// has ended, whether it ends before or while it is waited for.
func TestContextEndsAnExchange(t *testing.T) {
	dir := shortDir(t)
	silent, err := net.Listen("unix", filepath.Join(dir, "wg0.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for name, ask := range map[string]func(*Client) error{
		"read":   func(c *Client) error { _, err := c.Device("wg0"); return err },
		"change": func(c *Client) error { return c.Apply("wg0", conf.Change{}) },
	} {
		ctx, cancel := context.WithCancel(context.Background())
		c := (&Client{Dir: dir, Dial: noWireGuard}).WithContext(ctx)
		answer := make(chan error)
		go func() { answer <- ask(c) }()
		// One connection is to see whether anybody listens, the next is it.
		var kept []net.Conn
		for range 2 {
			conn, err := silent.Accept()
			if err != nil {
				t.Fatal(err)
			}
			kept = append(kept, conn)
		}
		cancel()
		if err := <-answer; !errors.Is(err, syscall.ETIMEDOUT) {
			t.Errorf("%s: %v, want ETIMEDOUT", name, err)
		}
		if err := ask(c); !errors.Is(err, syscall.ETIMEDOUT) {
			t.Errorf("%s afterwards: %v, want ETIMEDOUT", name, err)
		}
		for _, conn := range kept {
			_ = conn.Close()
		}
		for range 2 { // those of the second time
			conn, err := silent.Accept()
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.Close()
		}
	}
}
