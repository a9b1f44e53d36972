package initramfs

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"testing"
)

// entry is what a reader finds in an archive.
type entry struct {
	name    string
	mode    uint64
	content string
}

// read takes an archive apart by the description of the format.
func read(b []byte) (all []entry, err error) {
	for off := 0; ; {
		if len(b)-off < 110 || string(b[off:off+6]) != "070701" {
			return nil, fmt.Errorf("no header at %d", off)
		}
		field := func(n int) uint64 {
			v, e := strconv.ParseUint(string(b[off+6+8*n:off+14+8*n]), 16, 32)
			err = errors.Join(err, e)
			return v
		}
		mode, size, nameSize := field(1), int(field(6)), int(field(11))
		if err != nil {
			return nil, err
		}
		name := string(b[off+110 : off+110+nameSize-1])
		if b[off+110+nameSize-1] != 0 {
			return nil, fmt.Errorf("the name %q does not end with a zero", name)
		}
		off += (110 + nameSize + 3) &^ 3
		if name == "TRAILER!!!" {
			if off != len(b) {
				return nil, fmt.Errorf("%d bytes after the end", len(b)-off)
			}
			return all, nil
		}
		all = append(all, entry{name, mode, string(b[off : off+size])})
		off += (size + 3) &^ 3
	}
}

func TestArchiveIsReadBack(t *testing.T) {
	var a Archive
	for _, err := range []error{
		a.Link("bin", "usr/bin"),
		a.Dir("/usr/bin"),
		a.File("/bin/x", 0o755, []byte("abcde")),
		a.File("etc/a/b", 0o600, nil),
		a.Dir("etc"), // there already
		a.Link("/usr/bin/y", "x"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if !a.Has("/bin/x") || !a.Has("usr/bin/x") || a.Has("bin/z") {
		t.Error("what lies below a link is not found, or what does not lie there")
	}
	got, err := read(a.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	want := []entry{
		{"bin", 0o120777, "usr/bin"},
		{"usr", 0o040755, ""}, {"usr/bin", 0o040755, ""},
		{"usr/bin/x", 0o100755, "abcde"},
		{"etc", 0o040755, ""}, {"etc/a", 0o040755, ""}, {"etc/a/b", 0o100600, ""},
		{"usr/bin/y", 0o120777, "x"},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("read back:\n%v, want\n%v", got, want)
	}
}

func TestArchiveRefusesWhatLinuxWould(t *testing.T) {
	var a Archive
	if err := errors.Join(a.File("f", 0o644, nil), a.Link("l", "l")); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"a second file of a name":   a.File("/f", 0o644, nil),
		"a folder where a file is":  a.Dir("f"),
		"a file below a file":       a.File("f/x", 0o644, nil),
		"a file below a loop":       a.File("l/x", 0o644, nil),
		"a file without a name":     a.File("/", 0o644, nil),
		"a name that is too long":   a.File(string(make([]byte, 5000)), 0o644, nil),
		"a link where a file is":    a.Link("f", "x"),
		"a file that climbs out of": a.File("../f", 0o644, nil),
	} {
		if err == nil {
			t.Errorf("%s was taken", what)
		}
	}
	if err := a.File("f", 0o644, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second file: %v, want ErrExist", err)
	}
}

// Whatever is put into an archive is read back.
func FuzzArchive(f *testing.F) {
	f.Add("a/b", []byte("x"))
	f.Add("../../..", []byte{})
	f.Fuzz(func(t *testing.T, name string, content []byte) {
		var a Archive
		if a.File(name, 0o644, content) != nil {
			return
		}
		all, err := read(a.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if last := all[len(all)-1]; last.content != string(content) {
			t.Errorf("%q: read back %q, want %q", name, last.content, content)
		}
	})
}
