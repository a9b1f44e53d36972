package wg

import (
	"bytes"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func runWith(t *testing.T, stdin string, args ...string) (string, string, int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := Main(append([]string{"wg"}, args...), strings.NewReader(stdin), &stdout, &stderr)
	return stdout.String(), stderr.String(), code
}

// Q02.
func TestTenThousandKeys(t *testing.T) {
	seen := map[string]bool{}
	for _, command := range []string{"genkey", "genpsk"} {
		unclamped := 0
		for range 5000 {
			out, errs, code := runWith(t, "", command)
			raw, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(out, "\n"))
			if err != nil || len(raw) != 32 || errs != "" || code != 0 || !strings.HasSuffix(out, "\n") {
				t.Fatalf("%s: %q, %q, %d: %v", command, out, errs, code, err)
			}
			if seen[out] {
				t.Fatalf("%s: %s twice", command, out)
			}
			seen[out] = true
			if raw[0]&7 != 0 || raw[31]&0xc0 != 0x40 {
				unclamped++
			}
		}
		// 31 of 32 random texts are not clamped.
		if command == "genkey" && unclamped != 0 || command == "genpsk" && unclamped < 4500 {
			t.Errorf("%s: %d of 5000 are not clamped", command, unclamped)
		}
	}
}

// Q02: the warning about files that everybody may read.
func TestWarnsOfReadableOutput(t *testing.T) {
	const warning = "Warning: writing to world accessible file.\nConsider setting the umask to 077 and trying again.\n"
	dir := t.TempDir()
	for mode, want := range map[os.FileMode]string{0o600: "", 0o660: "", 0o604: warning, 0o602: warning, 0o601: warning, 0o644: warning} {
		path := filepath.Join(dir, mode.String())
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Chmod(mode); err != nil {
			t.Fatal(err)
		}
		for _, command := range []string{"genkey", "genpsk"} {
			var stderr bytes.Buffer
			if code := Main([]string{"wg", command}, nil, f, &stderr); code != 0 || stderr.String() != want {
				t.Errorf("%s to a file of mode %v: %d, %q, want %q", command, mode, code, stderr.String(), want)
			}
		}
		_ = f.Close()
		if text, err := os.ReadFile(path); err != nil || len(text) != 90 {
			t.Errorf("the file has %d bytes, %v, want two keys", len(text), err)
		}
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	var stderr bytes.Buffer
	if Main([]string{"wg", "genkey"}, nil, null, &stderr); stderr.Len() > 0 {
		t.Errorf("to %s: %q", os.DevNull, stderr.String())
	}
}

// Keys come from pipes and descriptors too, and nothing through a pipe is a
// failed command, not the wish to remove a key.
func TestKeyFilesThatArePipes(t *testing.T) {
	s := newScripted(t)
	k := privateKey(3)
	for in, want := range map[string]string{k.Reveal() + "\n": "", "": "Invalid length key in key file\n"} {
		cmd := exec.Command(os.Args[0], "set", "nosuch", "private-key", "/dev/stdin")
		cmd.Args[0] = "wg"
		cmd.Env = append(os.Environ(), asTool+"=1")
		cmd.Stdin = strings.NewReader(in) // a pipe
		var stderr strings.Builder
		cmd.Stderr = &stderr
		_ = cmd.Run()
		got := stderr.String()
		if want == "" {
			want = "Unable to modify interface: Protocol not supported\n"
			got = strings.ReplaceAll(got, "No such device", "Protocol not supported") // on a host with the module
			got = strings.ReplaceAll(got, "Operation not permitted", "Protocol not supported")
		}
		if got != want {
			t.Errorf("%d bytes: %q, want %q", len(in), got, want)
		}
	}
	// Q14: an empty file and the null device remove keys.
	for _, file := range []string{os.DevNull, "FILE/empty"} {
		s.plane.reset(states(scriptNow)["full"])
		if _, err := s.Do("file", []string{"empty"}); err != nil {
			t.Fatal(err)
		}
		out := s.run([]string{"set", "wg0", "private-key", file, "peer", publicKey(1).String(), "preshared-key", file})
		d := s.plane.Status()
		if len(out) > 0 || !d.PrivateKey.IsZero() || !d.Peers[0].PresharedKey.IsZero() {
			t.Errorf("%s: %q, keys are still there: %v %v", file, out, !d.PrivateKey.IsZero(), !d.Peers[0].PresharedKey.IsZero())
		}
	}
}
