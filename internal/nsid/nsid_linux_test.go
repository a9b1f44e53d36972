package nsid

import (
	"strings"
	"testing"
)

func TestNamespacesAreToldApart(t *testing.T) {
	for _, c := range []struct {
		a, b ID
		want bool
	}{
		{ID{1, 7}, ID{1, 7}, true},
		{ID{1, 7}, ID{1, 8}, false}, // the number was given to another
		{ID{1, 7}, ID{2, 7}, false},
		{ID{1, 0}, ID{1, 8}, true}, // a kernel before 5.14
		{ID{1, 8}, ID{1, 0}, true},
		{ID{1, 0}, ID{2, 0}, false},
	} {
		if got := c.a.Is(c.b); got != c.want {
			t.Errorf("%v is %v: %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

func TestCurrentExists(t *testing.T) {
	here, err := Current()
	if err != nil || here.Inode == 0 || !strings.HasPrefix(here.String(), "net:[") {
		t.Fatalf("%+v, %v", here, err)
	}
	if again, _ := Current(); again != here {
		t.Errorf("%+v and then %+v", here, again)
	}
	if !Exists(here) {
		t.Errorf("%+v, where this test is, does not exist", here)
	}
	if gone := (ID{Inode: 1, Cookie: here.Cookie}); Exists(gone) {
		t.Errorf("%+v exists, which no namespace can be", gone)
	}
	if boot, err := Boot(); err != nil || len(boot) != 36 {
		t.Errorf("boot %q, %v", boot, err)
	}
}

func TestUnescape(t *testing.T) {
	if got := unescape(`/run/a\040b\134c`); got != `/run/a b\c` {
		t.Errorf("%q", got)
	}
}
