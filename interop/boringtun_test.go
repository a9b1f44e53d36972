//go:build linux && e2e

package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// I15: BoringTun, an independent implementation, in both roles, over both
// families outside and inside, at three MTUs. `make interop` installs it where
// cargo is; elsewhere it is used if it is there.
func TestBoringTun(t *testing.T) {
	binary, why := findBoringTun(t)
	if binary == "" {
		// Not a failure and not hidden: go test -v and the log of the run say so.
		t.Logf("BoringTun: not compared with, %s", why)
		return
	}
	version, _ := exec.Command(binary, "--version").Output()
	t.Logf("compared with %s", version)
	boringtun := implementation{
		name: "boringtun", argv: []string{binary, "--foreground", "--disable-drop-privileges", "--verbosity", "error"},
	}
	for _, p := range []struct{ a, b implementation }{
		{warrenDaemon(), boringtun}, {boringtun, warrenDaemon()}, {plain("ours"), boringtun},
	} {
		for i, mtu := range []int{1280, 1420, 8920} {
			t.Run(p.a.name+"_"+p.b.name+"_"+[]string{"1280", "1420", "8920"}[i], func(t *testing.T) {
				a, b := newPair(t, p.a, p.b, mtu, i%2 == 1)
				for family := range a.inner {
					if err := a.copyTo(b, b.inner[family], 8<<20); err != nil {
						t.Errorf("a to %s: %v", b.inner[family], err)
					}
					if err := b.copyTo(a, a.inner[family], 8<<20); err != nil {
						t.Errorf("b to %s: %v", a.inner[family], err)
					}
				}
				if t.Failed() {
					t.Logf("a: %s\nb: %s", a.must("wg", "show"), b.must("wg", "show"))
				}
			})
		}
	}
}

// findBoringTun returns where boringtun-cli is, or why it is not.
func findBoringTun(t *testing.T) (path, why string) {
	if path, err := exec.LookPath("boringtun-cli"); err == nil {
		return path, ""
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err.Error()
	}
	root := filepath.Join(cache, "warren-interop")
	path = filepath.Join(root, "bin", "boringtun-cli")
	if _, err := os.Stat(path); err == nil {
		return path, ""
	}
	if os.Getenv("INTEROP_ALL") == "" {
		return "", "it is not here and only `make interop` installs it"
	}
	cargo, err := exec.LookPath("cargo")
	if err != nil {
		return "", "cargo is not here to install it"
	}
	cmd := exec.Command(cargo, "install", "boringtun-cli", "--locked", "--root", root)
	cmd.Env = append(os.Environ(), "CARGO_TARGET_DIR="+filepath.Join(root, "target"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Logf("%s", out)
		return "", "cargo could not install it: " + err.Error()
	}
	os.RemoveAll(filepath.Join(root, "target"))
	return path, ""
}
