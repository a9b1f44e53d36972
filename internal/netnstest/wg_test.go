//go:build linux && e2e

package netnstest

import (
	"bufio"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/key"
)

// identity is a key pair.
type identity struct {
	private key.Private
	public  key.Public
}

func newIdentity(t *testing.T) identity {
	t.Helper()
	k, err := key.GeneratePrivate(rand.Reader)
	must(t, err)
	return identity{k, k.Public()}
}

func (i identity) pub() string { return i.public.String() }

// keyFile writes a key where the host's wg can read it, and returns its path.
func (h *host) keyFile(name, text string) string {
	h.t.Helper()
	path := "/run/" + name + ".key"
	must(h.t, h.WriteFile(path, []byte(text+"\n"), 0o600))
	return path
}

// privateKey writes a private key and returns its path.
func (h *host) privateKey(i identity) string {
	h.t.Helper()
	return h.keyFile("private-"+i.public.Hex()[:8], i.private.Reveal())
}

// wg runs the distribution's wg(8) with these words.
func (h *host) wg(words ...string) string {
	h.t.Helper()
	var argv []string
	for _, w := range words {
		argv = append(argv, strings.Fields(w)...)
	}
	return h.run(append([]string{"wg"}, argv...)...)
}

// setconf gives the whole configuration to `wg setconf`.
func (h *host) setconf(device, text string) {
	h.t.Helper()
	must(h.t, h.WriteFile("/run/setconf.conf", []byte(text), 0o600))
	h.run("wg", "setconf", device, "/run/setconf.conf")
}

// show returns what `wg show DEVICE FIELD` says of a peer: the words after its
// key.
func (h *host) show(device, field string, peer identity) []string {
	h.t.Helper()
	for _, l := range strings.Split(h.run("wg", "show", device, field), "\n") {
		if rest, ok := strings.CutPrefix(l, peer.pub()+"\t"); ok {
			return strings.Fields(rest)
		}
	}
	return nil
}

func (h *host) endpoint(device string, peer identity) string {
	h.t.Helper()
	if w := h.show(device, "endpoints", peer); len(w) == 1 {
		return w[0]
	}
	return ""
}

// transfer returns bytes received from and sent to a peer.
func (h *host) transfer(device string, peer identity) (rx, tx int) {
	h.t.Helper()
	w := h.show(device, "transfer", peer)
	if len(w) != 2 {
		h.t.Fatalf("wg show %s transfer says %q of the peer", device, w)
	}
	rx, _ = strconv.Atoi(w[0])
	tx, _ = strconv.Atoi(w[1])
	return rx, tx
}

// handshake returns the time of the latest handshake with a peer, 0 for none.
func (h *host) handshake(device string, peer identity) int {
	h.t.Helper()
	w := h.show(device, "latest-handshakes", peer)
	if len(w) != 1 {
		h.t.Fatalf("wg show %s latest-handshakes says %q of the peer", device, w)
	}
	n, _ := strconv.Atoi(w[0])
	return n
}

// uapi is a connection to the control socket of a device.
type uapi struct {
	c net.Conn
	r *bufio.Reader
}

func (h *host) dialUAPI(device string) (*uapi, error) {
	var c net.Conn
	err := h.Do(func() (err error) {
		c, err = net.Dial("unix", "/run/wireguard/"+device+".sock")
		return err
	})
	if err != nil {
		return nil, err
	}
	return &uapi{c, bufio.NewReaderSize(c, 1<<16)}, nil
}

// ask sends a request, which ends with an empty line, and returns the lines of
// the reply before errno, and errno.
func (u *uapi) ask(request string) (lines []string, errno int, err error) {
	if err := u.c.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		return nil, 0, err
	}
	if _, err := io.WriteString(u.c, request); err != nil {
		return nil, 0, err
	}
	errno = -1
	for {
		l, err := u.r.ReadString('\n')
		if err != nil {
			return nil, 0, fmt.Errorf("reply was cut off: %w", err)
		}
		l = strings.TrimSuffix(l, "\n")
		if l == "" {
			return lines, errno, nil
		}
		if v, ok := strings.CutPrefix(l, "errno="); ok {
			errno, err = strconv.Atoi(v)
			if err != nil {
				return nil, 0, err
			}
			continue
		}
		lines = append(lines, l)
	}
}

// get reads a device through the control socket.
func (h *host) get(device string) ([]string, error) {
	u, err := h.dialUAPI(device)
	if err != nil {
		return nil, err
	}
	defer u.c.Close()
	lines, errno, err := u.ask("get=1\n\n")
	if err == nil && errno != 0 {
		err = fmt.Errorf("get of %s: errno %d", device, errno)
	}
	return lines, err
}

// port returns the listen port of a device, "" if it has none.
func (h *host) listenPort(device string) string {
	lines, _ := h.get(device)
	for _, l := range lines {
		if v, ok := strings.CutPrefix(l, "listen_port="); ok {
			return v
		}
	}
	return ""
}
