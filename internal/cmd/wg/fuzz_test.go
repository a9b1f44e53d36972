package wg

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/uapi"
	"github.com/warrenvpn/warren/wgctl"
)

// FuzzCommandLine is Z13: arguments, one a line. The exit code is 0 or 1, a
// failure is explained, and one that is explained changed nothing.
func FuzzCommandLine(f *testing.F) {
	p := publicKey(1).String()
	for _, s := range []string{
		"", "show", "show\nall\ndump", "show\nwg0\npeers", "show\ninterfaces", "show\n--json", "showconf\nwg0", "help", "--version", "genkey", "genpsk",
		"set\nwg0\nlisten-port\n5\nfwmark\n0x5\npeer\n" + p + "\nallowed-ips\n+10.0.0.1/8,-::/0\nendpoint\nexample.org:1\npersistent-keepalive\noff",
		"set\nwg0\npeer\n" + p + "\nremove\npreshared-key\nfile", "setconf\nwg0\nfile", "syncconf\nwg0\nfile", "addconf\nwg0\nfile", "pubkey",
	} {
		f.Add(s, "[Peer]\nPublicKey="+p+"\nEndpoint=example.org:1\n")
	}
	dir, err := os.MkdirTemp("", "wg")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = os.RemoveAll(dir) })
	m := &model{}
	l, err := uapi.ListenIn(dir, "wg0")
	if err != nil {
		f.Fatal(err)
	}
	ctx := f.Context()
	go func() { _ = uapi.Serve(ctx, l, m) }()
	f.Chdir(dir)
	f.Fuzz(func(t *testing.T, line, file string) {
		if strings.Contains(line, "/") && strings.Contains(line, "private-key\n/") || strings.Contains(line, "conf\nwg0\n/") || strings.Contains(line, "..") {
			return // files of the machine are none of ours
		}
		if err := os.WriteFile(filepath.Join(dir, "file"), []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		m.reset(conf.Device{ListenPort: 9})
		before := m.text(t)
		var stdout, stderr bytes.Buffer
		tool := &tool{
			stdin: strings.NewReader(file), stdout: &stdout, stderr: &stderr,
			lookupEnv: func(string) (string, bool) { return "", false }, now: func() time.Time { return scriptNow },
			client:   &wgctl.Client{Dir: dir, Dial: absentKernel().Dial},
			resolver: &wgctl.Resolver{Lookup: fakeLookup, Sleep: func(time.Duration) {}, Service: noServices},
		}
		args := []string{"wg"}
		if line != "" {
			args = append(args, strings.Split(line, "\n")...)
		}
		code := tool.run(args)
		if code != 0 && code != 1 {
			t.Fatalf("%q: exit code %d", args, code)
		}
		if code == 1 && stderr.Len() == 0 {
			t.Errorf("%q: failed without a word", args)
		}
		if after := m.text(t); code == 1 && after != before {
			t.Errorf("%q: failed, and changed the device to %s", args, after)
		}
	})
}

func noServices(string) (int, error) { return 0, io.EOF }
