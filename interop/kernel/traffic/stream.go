//go:build linux

package traffic

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"
)

// StreamPatience bounds a whole stream.
const StreamPatience = 8 * time.Minute

// SendStream sends pseudo-random bytes and returns their hash.
func SendStream(c net.Conn, bytes int64, seed byte) (string, error) {
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(StreamPatience)); err != nil {
		return "", err
	}
	h := sha256.New()
	_, err := io.CopyBuffer(onlyWriter{c}, io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{seed}), bytes), h), make([]byte, 1<<16))
	return fmt.Sprintf("%x", h.Sum(nil)), err
}

// ReceiveStream takes one connection and returns how much came and its hash.
func ReceiveStream(l net.Listener) (int64, string, error) {
	c, err := l.Accept()
	if err != nil {
		return 0, "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(StreamPatience)); err != nil {
		return 0, "", err
	}
	h := sha256.New()
	n, err := io.CopyBuffer(h, onlyReader{c}, make([]byte, 1<<16))
	return n, fmt.Sprintf("%x", h.Sum(nil)), err
}

// These keep io.CopyBuffer to its buffer.
type (
	onlyWriter struct{ io.Writer }
	onlyReader struct{ io.Reader }
)
