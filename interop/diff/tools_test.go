//go:build linux && e2e

package diff

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// toolset is a folder with a wg and a wg-quick.
type toolset struct {
	dir     string
	version string // as the tool says it
	date    int    // the last part of the version
}

// tools are what is compared. Built or found once per run; read only afterwards.
var tools struct {
	dir        string // of everything built here
	warren     string
	reference  string // wireguard-go
	ours       toolset
	upstream   toolset // the newest there is
	old        toolset // the system's; equal to upstream where nothing else was had
	openresolv string  // folder with usr and etc of the package, or empty
}

// since is the version that compat describes.
const since = 20260223

func TestMain(m *testing.M) {
	code, err := 1, prepare()
	if err == nil {
		code = m.Run()
	}
	_ = os.RemoveAll(tools.dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func prepare() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("the differential tests make network namespaces: run them as root")
	}
	var err error
	// Not below /tmp: hosts have one of their own.
	if tools.dir, err = os.MkdirTemp("/var/tmp", "warren-diff-*"); err != nil {
		return err
	}
	if err := os.Chmod(tools.dir, 0o755); err != nil {
		return err
	}
	tools.warren = filepath.Join(tools.dir, "warren")
	tools.reference = filepath.Join(tools.dir, "reference")
	for _, b := range []struct{ dir, out, pkg string }{
		{"../..", tools.warren, "./cmd/warren"},
		{"..", tools.reference, "golang.zx2c4.com/wireguard"},
	} {
		cmd := exec.Command("go", "build", "-o", b.out, b.pkg)
		cmd.Dir, cmd.Env = b.dir, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", b.pkg, err, out)
		}
	}
	tools.ours.dir = filepath.Join(tools.dir, "bin")
	for link, target := range map[string]string{
		"bin/wg": tools.warren, "bin/wg-quick": tools.warren,
		// The daemon as wg-quick looks for it.
		"ours/wireguard-go": tools.warren, "theirs/wireguard-go": tools.reference,
	} {
		link = filepath.Join(tools.dir, link)
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(target, link); err != nil {
			return err
		}
	}
	if err := tools.ours.identify(); err != nil {
		return err
	}
	return findUpstream()
}

// findUpstream asks scripts/upstream-tools.
func findUpstream() error {
	cmd := exec.Command("../../scripts/upstream-tools")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("upstream's tools: %w\n%s", err, errs.Bytes())
	}
	fmt.Printf("%s", errs.Bytes())
	fields := strings.Split(strings.TrimSpace(string(out)), "\t")
	if len(fields) != 3 {
		return fmt.Errorf("scripts/upstream-tools answers %q", out)
	}
	tools.upstream.dir = fields[0]
	if resolv := filepath.Join(filepath.Dir(fields[0]), "openresolv"); fields[1] == "sid" {
		tools.openresolv = resolv
	}
	wg, err := exec.LookPath("wg")
	if err != nil {
		return fmt.Errorf("the system's wg: %w\nhint: apt-get install wireguard-tools", err)
	}
	tools.old.dir = filepath.Dir(wg)
	for _, s := range []*toolset{&tools.upstream, &tools.old} {
		if err := s.identify(); err != nil {
			return err
		}
	}
	return nil
}

var versionLine = regexp.MustCompile(`v(\d+\.\d+\.(\d+))`)

func (s *toolset) identify() error {
	out, err := exec.Command(filepath.Join(s.dir, "wg"), "--version").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s/wg --version: %w\n%s", s.dir, err, out)
	}
	s.version = strings.TrimSpace(string(out))
	if m := versionLine.FindStringSubmatch(s.version); m != nil {
		s.date, _ = strconv.Atoi(m[2])
	}
	return nil
}

// record says in the output of a test what it compared.
func record(t *testing.T) {
	t.Helper()
	t.Logf("compared: ours %q; upstream %q; the system's %q", tools.ours.version, tools.upstream.version, tools.old.version)
	if tools.upstream.date < since {
		t.Logf("upstream's newest could not be had: ours is compared with what was recorded of it, and the system's tool with its own record")
	}
}
