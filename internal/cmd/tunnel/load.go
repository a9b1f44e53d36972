package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/internal/quick"
)

// load reads the file that a user means by FILE or NAME. Warnings are printed.
func load(arg string) (*quick.Config, error) {
	path, name, err := find(arg)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, unreadableFile(path, err)
	}
	if worldAccessible(path) {
		fmt.Fprintf(os.Stderr, "Warning: `%s' is world accessible\n", path)
	}
	c, err := quick.Parse(string(text), path, name, conf.Options{
		Warn:    func(w conf.Warning) { fmt.Fprintf(os.Stderr, "[!] %s:%d: %s\n", w.File, w.Line, w.Text) },
		Service: service,
	})
	if err != nil {
		return nil, err
	}
	_, c.Program, err = maker(name)
	return c, err
}

func unreadableFile(path string, err error) error {
	p := &quick.Problem{Path: path, Text: err.Error(), Err: err}
	var where *fs.PathError
	if errors.As(err, &where) {
		p.Text = "cannot be read: " + where.Err.Error()
	}
	if errors.Is(err, fs.ErrPermission) {
		p.Hint = "put sudo before it"
	}
	return p
}

// service finds the number of a UDP service.
func service(name string) (uint16, error) {
	n, err := net.DefaultResolver.LookupPort(context.Background(), "udp", name)
	return uint16(n), err
}
