package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const modulePath = "github.com/warrenvpn/warren"

type group struct {
	name, about string
	run         func(*runner)
}

func groups(fuzzTime string) []group {
	return []group{
		{"static", "format, vet, staticcheck, architecture, tidy modules, reproducible build", static},
		{"short", "unit tests, the long ones left out", func(r *runner) { unit(r, "short", nil, "-short") }},
		{"unit", "unit, scenario and script tests", func(r *runner) { unit(r, "unit", nil, "-timeout=8m") }},
		{"race", "the same under the race detector", func(r *runner) {
			unit(r, "race", []string{"CGO_ENABLED=1"}, "-race", "-short", "-timeout=12m")
		}},
		{"cross", "vet and build for every supported platform", cross},
		{"emulated", "unit tests as 386, and as arm64 under qemu-user", emulated},
		{"fuzz", "every fuzz target for a while", func(r *runner) { fuzz(r, fuzzTime) }},
		{"namespaces", "real sockets and TUN devices in network namespaces", namespaces},
		{"variants", "the tunnel's tests with every implementation in turn, and without each feature", variants},
		{"interop", "against other implementations", interop},
		{"diff", "wg and wg-quick beside upstream's, and what they leave of the system", differential},
	}
}

// unit runs the tests of all packages but the one that is a group of its own.
func unit(r *runner, title string, env []string, args ...string) {
	list := r.command(nil, "", "go", "list", "./...")
	list.Stderr = r.log
	out, err := list.Output()
	if err != nil {
		r.fail(title, "go list: "+err.Error())
		return
	}
	for _, p := range strings.Fields(string(out)) {
		if p != modulePath+"/internal/archtest" {
			args = append(args, p)
		}
	}
	r.goTest(title, env, "", args...)
}

func static(r *runner) {
	files, err := goFiles(".")
	if err != nil {
		r.fail("list files", err.Error())
		return
	}
	r.check("gofmt", true, nil, "gofmt", append([]string{"-l"}, files...)...)
	r.check("go vet", false, nil, "go", "vet", "-tags=e2e", "./...")
	r.check("staticcheck", false, nil, "go", "tool", "-modfile=tools/go.mod", "staticcheck", "-tags=e2e", "./...")
	for _, dir := range []string{"tools", "interop", "bench"} {
		if _, err := os.Stat(dir + "/go.mod"); err == nil {
			r.check("go vet in "+dir, false, nil, "go", "-C", dir, "vet", "-tags=e2e", "./...")
			r.check("staticcheck in "+dir, false, nil, "go", "-C", dir, "tool", "-modfile=../tools/go.mod", "staticcheck", "-tags=e2e", "./...")
		}
	}
	r.goTest("tools", nil, "tools", "./...")
	r.goTest("bench", nil, "bench", "./...")
	r.check("go mod tidy", false, nil, "go", "mod", "tidy", "-diff")
	r.goTest("architecture", nil, "", "-count=1", "./internal/archtest")
	generated(r)
	reproducible(r)
}

// generated runs the generators of assembly in a copy, and compares what they
// write with what is committed.
func generated(r *runner) {
	dirs, err := filepath.Glob("internal/*/_asm")
	if err != nil || len(dirs) == 0 {
		r.fail("generated assembly", fmt.Sprintf("no generators found: %v", err))
		return
	}
	for _, dir := range dirs {
		copyDir, err := os.MkdirTemp("", "warren-generate-*")
		if err != nil {
			r.fail("generated assembly", err.Error())
			return
		}
		r.check("vet of "+dir, false, nil, "go", "-C", dir, "vet", "./...")
		script := `tar cf - go.mod "$1" | tar xf - -C "$0" && go -C "$0" generate "./$1" && diff -r "$1" "$0/$1"`
		r.check("generated assembly of "+filepath.Dir(dir), true, nil, "sh", "-c", script, copyDir, filepath.Dir(dir))
		_ = os.RemoveAll(copyDir)
	}
}

// reproducible builds the binary twice, the second time from a copy of the
// tree at another path, and compares the bytes.
func reproducible(r *runner) {
	const title = "reproducible build"
	copyDir, err := os.MkdirTemp("", "warren-build-*")
	if err != nil {
		r.fail(title, err.Error())
		return
	}
	defer os.RemoveAll(copyDir)
	tree := filepath.Join(copyDir, "elsewhere")
	script := `mkdir "$0" && tar cf - --exclude=./.git --exclude=./bin . | tar xf - -C "$0" && scripts/build bin/warren && cd "$0" && scripts/build bin/warren`
	out, err := r.command(nil, "", "sh", "-c", script, tree).CombinedOutput()
	if err != nil {
		r.fail(title, fmt.Sprintf("%s%v", out, err))
		return
	}
	a, errA := os.ReadFile("bin/warren")
	b, errB := os.ReadFile(filepath.Join(tree, "bin/warren"))
	if errA != nil || errB != nil || sha256.Sum256(a) != sha256.Sum256(b) {
		r.fail(title, "the same source gave two different binaries")
		return
	}
	r.tally.passed++
}

// platforms are those that must always compile.
var platforms = []string{"linux/arm64", "linux/386", "darwin/arm64", "windows/amd64", "freebsd/amd64", "openbsd/amd64"}

func cross(r *runner) {
	for _, p := range platforms {
		goos, goarch, _ := strings.Cut(p, "/")
		env := []string{"CGO_ENABLED=0", "GOOS=" + goos, "GOARCH=" + goarch}
		r.check("vet "+p, false, env, "go", "vet", "./...")
		r.check("build "+p, false, env, "go", "build", "-trimpath", "-o", os.DevNull, "./cmd/warren")
	}
}

// portable are the packages without system calls of their own, whose tests run
// on any processor that can be had.
var portable = []string{
	"key", "packet", "conf", "uapi", "device",
	"internal/mono", "internal/tai64n", "internal/wire", "internal/replay", "internal/ippkt", "internal/offload",
	"internal/aead", "internal/x25519", "internal/impl", "internal/noise", "internal/cookie", "internal/allowedips", "internal/ratelimit",
	"internal/tunnel", "internal/quick", "internal/wgnl",
}

func emulated(r *runner) {
	var pkgs []string
	for _, p := range portable {
		if files, _ := filepath.Glob(p + "/*_test.go"); len(files) > 0 {
			pkgs = append(pkgs, "./"+p)
		}
	}
	r.goTest("386", []string{"CGO_ENABLED=0", "GOARCH=386"}, "", append([]string{"-short", "-timeout=6m"}, pkgs...)...)
	qemu := "qemu-aarch64-static"
	if _, err := exec.LookPath(qemu); err != nil {
		qemu = "qemu-aarch64"
	}
	r.goTest("arm64", []string{"CGO_ENABLED=0", "GOARCH=arm64"}, "",
		append([]string{"-short", "-timeout=10m", "-exec=" + qemu}, pkgs...)...)
}

var (
	fuzzFunc  = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)
	testFunc  = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	e2eHeader = regexp.MustCompile(`(?m)^//go:build .*\be2e\b`)
)

func fuzz(r *runner, fuzzTime string) {
	targets := collect(r, fuzzFunc, func(string) bool { return true })
	for _, t := range targets {
		for _, name := range t.names {
			title := t.dir + " " + name
			args := []string{"test", "-run=^$", "-fuzz=^" + name + "$", "-fuzztime=" + fuzzTime, "-fuzzminimizetime=20x", "./" + t.dir}
			r.check(title, false, nil, "go", args...)
		}
	}
}

func namespaces(r *runner) {
	for _, t := range collect(r, testFunc, e2eHeader.MatchString) {
		if strings.HasPrefix(t.dir, "interop") {
			continue
		}
		r.goTest("namespaces", nil, "", "-tags=e2e", "-count=1", "-timeout=8m", "-run=^("+strings.Join(t.names, "|")+")$", "./"+t.dir)
	}
}

// variants runs the tests of the tunnel with what is not chosen by itself on this
// machine: units with each implementation there is, linked in, and the kernel's
// scenarios over real devices with each option of `warren device`.
func variants(r *runner) {
	list := r.command(nil, "", "go", "run", "./cmd/warren", "device", "--cpu", "list")
	list.Stderr = r.log
	out, err := list.Output()
	if err != nil {
		r.fail("variants", "list implementations: "+err.Error())
		return
	}
	options := []string{"--plan pipelined", "--lanes 2", "--without offload", "--without segment", "--without coalesce", "--without steer"}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		if len(words) < 3 || words[len(words)-1] != "yes" {
			continue // cannot run here, or is tested all the time
		}
		choice := words[0] + "=" + words[1]
		options = append(options, "--cpu "+choice)
		r.goTest("variants", nil, "", "-short", "-timeout=8m", "-ldflags=-X "+modulePath+"/internal/impl.forced="+choice,
			"./device", "./internal/tunnel", "./internal/noise", "./internal/aead", "./internal/offload", "./internal/ippkt", "./internal/x25519")
	}
	for _, o := range options {
		r.goTest("variants", []string{"WARREN_DEVICE_OPTIONS=" + o}, "", "-tags=e2e", "-count=1", "-timeout=8m",
			"-run=^Test(K01|K09|K10|K12|K14|K24|K32|BulkTCPIsIntact|UDPFloods)", "./internal/netnstest")
	}
}

func interop(r *runner) {
	if _, err := os.Stat("interop/go.mod"); err != nil {
		r.note = "interop/ is not part of this tree yet"
		return
	}
	timeout := "-timeout=10m"
	if os.Getenv("INTEROP_ALL") != "" {
		timeout = "-timeout=40m"
	}
	r.goTest("interop", nil, "interop", "-tags=e2e", "-count=1", "-p=1", timeout, ".", "./kernel/...")
}

// differential compares with upstream's tools: the module's own bed, and again
// the transcripts of the namespaces' group, this time with the newest tool.
func differential(r *runner) {
	if _, err := os.Stat("interop/diff"); err != nil {
		r.note = "interop/diff is not part of this tree yet"
		return
	}
	r.goTest("diff", nil, "interop", "-tags=e2e", "-count=1", "-timeout=15m", "./diff")
	find := r.command(nil, "", "scripts/upstream-tools")
	find.Stderr = r.log
	out, err := find.Output()
	if err != nil {
		r.fail("diff upstream-tools", err.Error())
		return
	}
	found := strings.Split(strings.TrimSpace(string(out)), "\t")
	r.goTest("diff", []string{"WG_REFERENCE=" + filepath.Join(found[0], "wg")}, "",
		"-tags=e2e", "-count=1", "-timeout=8m", "-run=EqualReference$", "./internal/cmd/wg")
	r.note = "compared with " + strings.Join(found[1:], " ")
}

// target is a directory and the names of the functions wanted from it.
type target struct {
	dir   string
	names []string
}

// collect finds the functions that pattern names in the test files of the main
// module whose text is wanted.
func collect(r *runner, pattern *regexp.Regexp, wanted func(text string) bool) []target {
	files, err := goFiles(".")
	if err != nil {
		r.fail("list files", err.Error())
	}
	names := map[string][]string{}
	for _, f := range files {
		if !strings.HasSuffix(f, "_test.go") || inOtherModule(f) {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil || !wanted(string(text)) {
			continue
		}
		for _, m := range pattern.FindAllStringSubmatch(string(text), -1) {
			if m[1] != "TestMain" {
				names[filepath.Dir(f)] = append(names[filepath.Dir(f)], m[1])
			}
		}
	}
	var targets []target
	for dir, n := range names {
		targets = append(targets, target{dir, n})
	}
	slices.SortFunc(targets, func(a, b target) int { return strings.Compare(a.dir, b.dir) })
	return targets
}

func inOtherModule(file string) bool {
	for dir := filepath.Dir(file); dir != "."; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return true
		}
	}
	return false
}

// goFiles lists the Go files of the tree, test data and hidden folders left out.
func goFiles(top string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(top, func(path string, d os.DirEntry, err error) error {
		name := d.Name()
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != top && (name == "testdata" || name == "bin" || strings.HasPrefix(name, ".")):
			return filepath.SkipDir
		case !d.IsDir() && strings.HasSuffix(name, ".go"):
			files = append(files, path)
		}
		return nil
	})
	return files, err
}
