package wg

import (
	"bufio"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/key"
)

func (t *tool) genkey(args []string) int {
	if len(args) > 0 {
		return t.usage("genkey")
	}
	t.warnIfReadable()
	k, err := key.GeneratePrivate(rand.Reader)
	if err != nil {
		return t.failWith("getrandom", err)
	}
	defer k.Clear()
	fmt.Fprintln(t.out, k.Reveal())
	return 0
}

func (t *tool) genpsk(args []string) int {
	if len(args) > 0 {
		return t.usage("genpsk")
	}
	t.warnIfReadable()
	k, err := key.GeneratePreshared(rand.Reader)
	if err != nil {
		return t.failWith("getrandom", err)
	}
	defer k.Clear()
	fmt.Fprintln(t.out, k.Reveal())
	return 0
}

// warnIfReadable warns when stdout is a file that everybody may read.
func (t *tool) warnIfReadable() {
	f, ok := t.stdout.(*os.File)
	if !ok {
		return
	}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o007 != 0 {
		t.say("Warning: writing to world accessible file.")
		t.say("Consider setting the umask to 077 and trying again.")
	}
}

// keyLength is the length of a key in base64.
const keyLength = 44

func (t *tool) pubkey(args []string) int {
	if len(args) > 0 {
		return t.usage("pubkey")
	}
	in := bufio.NewReader(t.stdin)
	var text [keyLength]byte
	defer clear(text[:])
	if _, err := io.ReadFull(in, text[:]); err != nil {
		t.say(t.program + ": Key is not the correct length or format")
		return 1
	}
	for {
		c, err := in.ReadByte()
		if err != nil {
			break
		}
		if c != 0 && !isSpace(c) {
			t.say(t.program + ": Trailing characters found after key")
			return 1
		}
	}
	pub, err := publicOf(string(text[:]))
	if err != nil {
		t.say(t.program + ": Key is not the correct length or format")
		return 1
	}
	fmt.Fprintln(t.out, pub)
	return 0
}

// publicOf derives a public key. All zeros is a key here, though nowhere else:
// so it is read as 32 bytes of whatever kind.
func publicOf(text string) (key.Public, error) {
	raw, err := key.ParsePreshared(text)
	if err != nil {
		return key.Public{}, err
	}
	defer raw.Clear()
	k, err := ecdh.X25519().NewPrivateKey(raw.RevealBytes()[:])
	if err != nil {
		return key.Public{}, err
	}
	return key.Public(k.PublicKey().Bytes()), nil
}

// errEmptyPipe is a key from a pipe in which there was nothing: more likely a
// command that failed than the wish to remove the key.
var errEmptyPipe = &conf.ParseError{
	Detail: "no key came through the pipe", Hint: "/dev/null as the file removes a key",
	Tool: "Invalid length key in key file",
}

// readKeyFile reads a key file up to what decides whether it is good.
func readKeyFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &openError{err}
	}
	defer f.Close()
	in := bufio.NewReader(f)
	content := make([]byte, keyLength, keyLength+1)
	n, err := io.ReadFull(in, content)
	if err != nil {
		_, seekErr := f.Seek(0, io.SeekCurrent)
		if n == 0 && (!errors.Is(err, io.EOF) || seekErr != nil) {
			return nil, errEmptyPipe
		}
		return content[:n], nil
	}
	for {
		c, err := in.ReadByte()
		if err != nil {
			return content, nil
		}
		if !isSpace(c) {
			return append(content, c), nil
		}
	}
}

// openError is a file that cannot be opened.
type openError struct{ err error }

func (e *openError) Error() string { return "fopen: " + reason(e.err) }
func (e *openError) Unwrap() error { return e.err }

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }
