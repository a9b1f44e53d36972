//go:build linux && e2e

package kernel

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/interop/kernel/initramfs"
	"github.com/warrenvpn/warren/interop/kernel/vm"
)

// oldest is the first version whose behaviour is that of compat.md.
const oldest = "1.0.20260223"

// findUpstream asks scripts/upstream-tools for the newest wg, which comes with a
// loader and a library of its own, or is this machine's if that is new enough.
// What an older one does otherwise is a matter of package diff: whoever could
// fetch kernels can fetch that too.
func findUpstream() (tool, error) {
	cmd := exec.Command("../../scripts/upstream-tools")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return tool{}, fmt.Errorf("scripts/upstream-tools: %w", err)
	}
	f := strings.Split(strings.TrimSpace(string(out)), "\t")
	if len(f) != 3 {
		return tool{}, fmt.Errorf("scripts/upstream-tools: %q, want three fields", out)
	}
	folder, origin, version := f[0], f[1], f[2]
	if version < oldest { // a date of eight digits at the end
		return tool{}, fmt.Errorf("wireguard-tools %s (%s) cannot be compared with: want %s or later", version, origin, oldest)
	}
	if origin == "system" {
		wg := filepath.Join(folder, "wg")
		script := filepath.Join(folder, "wg-quick")
		return tool{origin: origin, version: version, programs: []string{wg, script}, path: wg, argv: []string{"wg"}, quick: script}, nil
	}
	top := filepath.Dir(folder)
	loader, err := one(filepath.Join(top, "libc6/usr/lib/*/ld-linux-*.so.*"))
	if err != nil {
		return tool{}, err
	}
	return tool{
		origin: origin, version: version,
		files: map[string]string{
			"/theirs/lib/ld.so":     loader,
			"/theirs/lib/libc.so.6": filepath.Join(filepath.Dir(loader), "libc.so.6"),
			"/theirs/wg.bin":        filepath.Join(top, "wireguard-tools/usr/bin/wg"),
			"/theirs/wg-quick":      filepath.Join(top, "wireguard-tools/usr/bin/wg-quick"),
		},
		quick: "/theirs/wg-quick",
		path:  "/theirs/lib/ld.so",
		argv:  []string{"ld.so", "--argv0", "wg", "--library-path", "/theirs/lib", "/theirs/wg.bin"},
	}, nil
}

func one(pattern string) (string, error) {
	files, err := filepath.Glob(pattern)
	if err == nil && len(files) == 0 {
		err = os.ErrNotExist
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", pattern, err)
	}
	return files[0], nil
}

// add puts the tool into the guest's file system.
func (w *tool) add(image *initramfs.Image) error {
	for at, file := range w.files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := image.File(at, 0o755, content); err != nil {
			return err
		}
	}
	if len(w.argv) > 1 {
		// For wg-quick, which looks for wg beside itself first.
		script := "#!/bin/bash\nexec -a wg " + w.path + " " + strings.Join(w.argv[1:], " ") + " \"$@\"\n"
		if err := image.File("/theirs/wg", 0o755, []byte(script)); err != nil {
			return err
		}
	}
	for _, p := range w.programs {
		if err := image.Copy(p); err != nil {
			return err
		}
	}
	return nil
}

// ourWG is this module's, by the name that people know.
func ourWG() tool {
	return tool{origin: "ours", path: "/ours/wg", argv: []string{"wg"}, quick: "/ours/wg-quick"}
}

// call is a command for a wg, and how it is started.
type call struct {
	args  []string
	env   []string
	stdin string
	uid   uint32
}

func words(format string, args ...any) call {
	return call{args: strings.Fields(fmt.Sprintf(format, args...))}
}

// wg has a wg of the guest do something.
func (b *bed) wg(t *testing.T, w tool, c call) vm.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := b.vm.Do(ctx, vm.Command{
		Path: w.path, Argv: append(w.argv[:len(w.argv):len(w.argv)], c.args...), Env: c.env, Stdin: []byte(c.stdin), UID: c.uid,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// must has a wg of the guest do something that succeeds in silence on standard
// error, and returns the other output.
func (b *bed) must(t *testing.T, w tool, format string, args ...any) string {
	t.Helper()
	c := words(format, args...)
	r := b.wg(t, w, c)
	if r.Status != 0 || r.Stderr != "" {
		t.Fatalf("%s: wg %s: exit status %d: %s", w.origin, strings.Join(c.args, " "), r.Status, r.Stderr)
	}
	return r.Stdout
}
