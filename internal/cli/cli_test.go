package cli

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"testing"
	"time"

	"github.com/warrenvpn/warren/conf"
)

func plain(s string) string { return s }

func TestDuration(t *testing.T) {
	for seconds, want := range map[uint64]string{
		0: "", 1: "1 second", 2: "2 seconds", 60: "1 minute", 61: "1 minute, 1 second", 3600: "1 hour", 86400: "1 day", 86399: "23 hours, 59 minutes, 59 seconds",
		365 * 86400: "1 year", 2*365*86400 + 2*86400 + 2*3600 + 120 + 2: "2 years, 2 days, 2 hours, 2 minutes, 2 seconds",
	} {
		if got := Duration(seconds, plain); got != want {
			t.Errorf("%d s = %q, want %q", seconds, got, want)
		}
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.00 KiB", 1536: "1.50 KiB", 1<<20 - 1: "1024.00 KiB", 1 << 20: "1.00 MiB", 1 << 30: "1.00 GiB",
		1 << 40: "1.00 TiB", 1 << 50: "1024.00 TiB", math.MaxUint64: "16777216.00 TiB",
	} {
		if got := Bytes(n, plain); got != want {
			t.Errorf("%d = %q, want %q", n, got, want)
		}
	}
}

func TestAgo(t *testing.T) {
	now := time.Unix(1000, 999)
	for at, want := range map[int64]string{1000: "Now", 999: "1 second ago", 940: "1 minute ago"} {
		if got, future := Ago(time.Unix(at, 5), now, plain); got != want || future {
			t.Errorf("%d: %q, %v, want %q", at, got, future, want)
		}
	}
	if _, future := Ago(time.Unix(1001, 0), now, plain); !future {
		t.Error("a time to come is not told")
	}
}

func TestColor(t *testing.T) {
	for _, c := range []struct {
		mode     string
		terminal bool
		want     Paint
	}{{"always", false, true}, {"never", true, false}, {"", true, true}, {"", false, false}, {"auto", true, true}, {"Always", false, false}} {
		if got := Color(c.mode, c.terminal); got != c.want {
			t.Errorf("%q, terminal %v: %v, want %v", c.mode, c.terminal, got, c.want)
		}
	}
	if got, want := Paint(true).Apply("x", Green, Bold), "\x1b[32m\x1b[1mx\x1b[0m"; got != want {
		t.Errorf("painted %q, want %q", got, want)
	}
	if Paint(false).Apply("x", Red) != "x" || Paint(false).Code(Reset) != "" || Paint(true).Code(Reset) != "\x1b[0m" {
		t.Error("colours where there should be none, or none where there should be")
	}
}

func TestIsTerminal(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, w := range map[string]any{"null device": null, "file": file, "buffer": &bytes.Buffer{}, "nil": nil, "nil file": (*os.File)(nil)} {
		if IsTerminal(w) {
			t.Errorf("%s is taken for a terminal", name)
		}
	}
}

func TestFailPrintsHints(t *testing.T) {
	err := fmt.Errorf("read: %w", &conf.ParseError{File: "wg0.conf", Line: 7, Key: "PrivateKey", Detail: "got 43 characters", Hint: "wg genkey makes one"})
	var b bytes.Buffer
	Fail(&b, "wg", WithHint(err, "or ask a friend"))
	want := "wg: read: wg0.conf:7: PrivateKey: got 43 characters\nhint: or ask a friend\nhint: wg genkey makes one\n"
	if b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
	if WithHint(nil, "x") != nil {
		t.Error("a hint made an error")
	}
	base := errors.New("base")
	if err := WithHint(base); !errors.Is(err, base) || len(Hints(err)) != 0 {
		t.Errorf("error = %v", err)
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	Table(&b, "Commands", []Row{{"up", "start"}, {"status", "look"}, {"a name that is far too long for it", "yes"}})
	want := "Commands:\n  up      start\n  status  look\n  a name that is far too long for it\n          yes\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}
