package tunnel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/internal/quick"
)

// save writes the state of the interface to its file: all at once, and
// readable by its owner alone.
func (h *host) save(ctx context.Context, c *quick.Config) error {
	if c.File == "" {
		return fmt.Errorf("%s is gone: the state of %s is not saved", c.Path, c.Name)
	}
	live, err := h.live(ctx, c)
	if err != nil {
		return err
	}
	temporary := c.File + ".tmp"
	if unlock, err := lockSaves(); err == nil {
		defer unlock()
	} else {
		// Where nothing can be locked, everybody has a file of their own.
		temporary = fmt.Sprintf("%s.%d.tmp", c.File, os.Getpid())
	}
	text, err := h.saveText(c, live)
	defer clear(text) // the key is in it
	if err != nil {
		return err
	}
	return replace(c.File, temporary, text)
}

// removeTemporary removes what a save that died has left, but nothing that
// another is just writing.
func removeTemporary(name string) error {
	if unlock, err := lockSaves(); err == nil {
		defer unlock()
	}
	return removeFile(name)
}

func (h *host) saveText(c *quick.Config, live quick.Live) ([]byte, error) {
	if c.Compat {
		return quick.SaveText(c, live)
	}
	old, err := os.ReadFile(c.File)
	if err != nil {
		return nil, unreadableFile(c.Path, err)
	}
	text, err := quick.Merge(string(old), live)
	if err != nil {
		return nil, err
	}
	// It is read back before it replaces anything.
	if _, err := quick.Parse(text, c.Path, c.Name, conf.Options{Service: service}); err != nil {
		return nil, fmt.Errorf("the state cannot be worked into the file, which is left as it is: %w", err)
	}
	return []byte(text), nil
}

// live reads the state of the interface.
func (h *host) live(ctx context.Context, c *quick.Config) (l quick.Live, err error) {
	if l.Device, err = h.wg.Device(c.Name); err != nil {
		return l, err
	}
	if l.Addresses, err = h.net.Addresses(c.Name); err != nil {
		return l, err
	}
	if l.MTU, err = h.net.MTU(c.Name); err != nil {
		return l, err
	}
	if b, err := h.findDNS(ctx, c.Name); err == nil {
		servers, _, err := b.Servers(ctx, c.Name)
		for _, s := range servers {
			if err == nil {
				l.Servers = append(l.Servers, s.String())
			}
		}
	}
	return l, nil
}

// replace gives a file another content, so that whoever reads it finds the old
// or the new one, also after a crash of the machine. The temporary file beside
// it is the caller's alone: one that is there was left by a process that died.
func replace(path, temporary string, text []byte) (err error) {
	if err := removeFile(temporary); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	// O_EXCL follows no link.
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("save: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("save: %w", err), removeFile(temporary))
		}
	}()
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		_ = dir.Sync() // some file systems cannot
		_ = dir.Close()
	}
	return nil
}
