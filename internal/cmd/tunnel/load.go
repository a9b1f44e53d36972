package tunnel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/internal/hostnet"
	"github.com/warrenvpn/warren/internal/journal"
	"github.com/warrenvpn/warren/internal/quick"
)

// source is the file that a user means by FILE or NAME.
type source struct {
	path string // as it is to be called
	file string // where it is, links followed
	name string // of the interface
	text string
}

// read finds and reads the file. Warnings are printed.
func (f Front) read(arg string) (s source, err error) {
	find := find
	if f.Compat {
		find = findCompat
	}
	if s.path, s.name, err = find(arg); err != nil {
		return s, err
	}
	if s.file, err = filepath.EvalSymlinks(s.path); err == nil {
		s.file, err = filepath.Abs(s.file)
	}
	if err != nil {
		return s, unreadableFile(s.path, err)
	}
	if f.Compat {
		s.path = s.file // the name is known now, and wg-quick calls it so
	}
	text, err := os.ReadFile(s.file)
	if err != nil {
		return s, unreadableFile(s.path, err)
	}
	s.text = string(text)
	if worldAccessible(s.file) {
		fmt.Fprintf(os.Stderr, "Warning: `%s' is world accessible\n", s.path)
	}
	return s, nil
}

// load reads the file for bringing its tunnel up.
func (f Front) load(arg string) (*quick.Config, error) {
	s, err := f.read(arg)
	if err != nil {
		return nil, err
	}
	return f.parse(s, quick.Parse)
}

// loadLenient reads the file for taking its tunnel down. One that is gone is
// made up for by the journal.
func (f Front) loadLenient(arg string) (*quick.Config, error) {
	s, err := f.read(arg)
	if errors.Is(err, fs.ErrNotExist) {
		if c := f.recorded(arg); c != nil {
			return c, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return f.parse(s, quick.ParseLenient)
}

func (f Front) parse(s source, parse func(text, path, name string, o conf.Options) (*quick.Config, error)) (*quick.Config, error) {
	o := conf.Options{Service: service}
	o.Warn = func(w conf.Warning) { fmt.Fprintf(os.Stderr, "[!] %s:%d: %s\n", w.File, w.Line, w.Text) }
	if f.Compat {
		o.Warn = func(w conf.Warning) { fmt.Fprintln(os.Stderr, w.Text) }
	}
	c, err := parse(s.text, s.path, s.name, o)
	if err != nil {
		return nil, err
	}
	c.File = s.file
	return c, f.fit(c)
}

// fit adds what is asked for by other means than the file.
func (f Front) fit(c *quick.Config) (err error) {
	c.Compat = f.Compat
	if f.Plane != "" {
		if c.Plane, err = quick.ParsePlane(f.Plane); err != nil {
			return &quick.Problem{Text: "--plane: " + err.Error()}
		}
	}
	if f.NoIPv6 {
		c.LeaveOutIPv6()
	}
	if _, c.Program, err = maker(c.Name); f.Compat && os.Getenv(programEnv) == "" {
		c.Program = "wireguard-go" // this program is that too
	}
	return err
}

// recorded returns what a journal says of a tunnel whose file is gone, or nil.
func (f Front) recorded(arg string) *quick.Config {
	name := arg
	if !nameRule.MatchString(arg) {
		name = strings.TrimSuffix(filepath.Base(arg), ".conf")
	}
	journals, err := journal.Open(stateDir)
	if err != nil {
		return nil
	}
	r, err := journals.Read(name)
	if err != nil || r == nil {
		return nil
	}
	var a hostnet.About
	if json.Unmarshal(r.About, &a) != nil {
		return nil
	}
	c := &quick.Config{Name: name, Path: a.Path}
	c.Table.Value = a.Table
	c.PreDown, c.PostDown = unplaced(a.PreDown), unplaced(a.PostDown)
	for _, s := range a.Servers {
		if addr, err := netip.ParseAddr(s); err == nil {
			c.Servers = append(c.Servers, addr)
			c.DNS = append(c.DNS, quick.At[string]{Value: s})
		}
	}
	if f.fit(c) != nil {
		return nil
	}
	fmt.Fprintf(os.Stderr, "[!] %s is gone: what was recorded when %s was brought up is used\n", a.Path, name)
	return c
}

func unplaced(commands []string) []quick.At[string] {
	all := make([]quick.At[string], len(commands))
	for i, s := range commands {
		all[i].Value = s
	}
	return all
}

// Strip returns what a file says to wg, and the line feed that wg-quick ends it
// with.
func (f Front) Strip(arg string) (string, error) {
	s, err := f.read(arg)
	if err != nil {
		return "", err
	}
	q, err := conf.ParseQuickLenient(s.text, s.path)
	if err != nil {
		return "", err
	}
	return q.Strip() + "\n", nil
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
