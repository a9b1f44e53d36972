package initramfs

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestModuleSaysWhatItNeeds(t *testing.T) {
	for info, want := range map[string][]string{
		"license=GPL\x00depends=udp_tunnel,libchacha20poly1305\x00name=wireguard\x00": {"udp_tunnel", "libchacha20poly1305"},
		"depends=\x00":                     nil,
		"alias=depends=x\x00":              nil,
		"depends=poly1305-x86_64":          {"poly1305_x86_64"},
		"softdep=pre: crc32c\x00depends=a": {"a"},
	} {
		if got := depends([]byte(info)); !reflect.DeepEqual(got, want) {
			t.Errorf("depends(%q) = %q, want %q", info, got, want)
		}
	}
}

func TestModulesAskForFilesThatAreThere(t *testing.T) {
	i, err := New()
	if err != nil {
		t.Fatal(err)
	}
	order, err := i.Modules(t.TempDir(), "virtio_pci")
	if err != nil || len(order) != 0 {
		t.Errorf("a part of the kernel: %q, %v, want nothing", order, err)
	}
}

// No name is empty, and none has what a name of a module cannot have.
func FuzzDepends(f *testing.F) {
	f.Add([]byte("depends=a,b\x00"))
	f.Fuzz(func(t *testing.T, info []byte) {
		names := depends(info)
		if slices.ContainsFunc(names, func(n string) bool { return n == "" || strings.ContainsAny(n, "-,\x00") }) {
			t.Errorf("depends(%q) = %q", info, names)
		}
	})
}

// A program of this machine comes with its loader and its libraries, each once.
func TestProgramBringsWhatItNeeds(t *testing.T) {
	i, err := New()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := i.Program("sh"); err != nil {
			t.Fatal(err)
		}
	}
	if !i.Has("/bin/sh") {
		t.Errorf("/bin/sh is not there, but %q", i.Names())
	}
	if !slices.ContainsFunc(i.Names(), func(n string) bool { return strings.Contains(n, "/libc.") }) {
		t.Errorf("no C library, but %q", i.Names())
	}
	if err := i.Program("no-such-program-here"); err == nil {
		t.Error("a program that is not there was added")
	}
}
