package journal

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The test binary holds a journal, and is killed, when this is set.
const holdEnv = "WARREN_TEST_HOLD_JOURNAL"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holdEnv); dir != "" {
		hold(dir)
	}
	os.Exit(m.Run())
}

func hold(dir string) {
	d, err := Open(dir)
	if err == nil {
		var f *File
		if f, _, err = d.Take("wg0"); err == nil {
			if err = f.Begin(d, "wg0", map[string]int{"x": 1}); err == nil {
				_, err = f.Intend("step")
			}
		}
	}
	if err != nil {
		panic(err)
	}
	os.Stdout.WriteString("held\n")
	_, _ = os.Stdin.Read(make([]byte, 1))
	os.Exit(1)
}

func open(t *testing.T) (*Dir, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "warren")
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return d, dir
}

func TestLifeOfAJournal(t *testing.T) {
	d, dir := open(t)
	f, r, err := d.Take("wg0")
	if err != nil || r != nil {
		t.Fatalf("%v, %v, want a new journal", r, err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(f.Begin(d, "wg0", map[string]string{"path": "x"}))
	n, err := f.Intend("one")
	must(err)
	must(f.Done(n, "result"))
	n, err = f.Intend("two")
	must(err)
	if _, _, err := d.Take("wg0"); !errors.Is(err, ErrBusy) {
		t.Errorf("taken twice: %v, want ErrBusy", err)
	}
	must(f.Done(n, nil))
	must(f.Undone(n))
	must(f.Go(d, Complete))
	must(f.Close())
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory %v, %v, want mode 0700", info.Mode(), err)
	}

	all, err := d.List()
	if err != nil || len(all) != 1 || all[0].Phase != Complete || len(all[0].Entries) != 1 || string(all[0].Entries[0].Result) != `"result"` || string(all[0].About) != `{"path":"x"}` {
		t.Errorf("list %+v, %v", all, err)
	}
	f, r, err = d.Take("wg0")
	if err != nil || r == nil || r.Phase != Complete || d.Stale(r) {
		t.Fatalf("%+v, %v, want the journal that was closed", r, err)
	}
	n, err = f.Intend("three")
	if err != nil || n != 2 {
		t.Errorf("number %d, %v, want 2: the last that stands is 1", n, err)
	}
	must(f.Remove())
	if r, err := d.Read("wg0"); r != nil || err != nil {
		t.Errorf("%+v, %v, want none after it was removed", r, err)
	}
}

// A journal whose owner lives is busy; one whose owner was killed says what it
// did.
func TestOwner(t *testing.T) {
	d, dir := open(t)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), holdEnv+"="+dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 5)
	if _, err := out.Read(said); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Take("wg0"); !errors.Is(err, ErrBusy) {
		t.Errorf("%v, want ErrBusy while the owner lives", err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	f, r, err := d.Take("wg0")
	if err != nil || r == nil || r.Phase != Up || len(r.Entries) != 1 || r.Entries[0].Done {
		t.Fatalf("%+v, %v, want one step that was only intended", r, err)
	}
	if err := f.Remove(); err != nil {
		t.Error(err)
	}
}

func TestOwnersAreToldApart(t *testing.T) {
	d, _ := open(t)
	child := exec.Command("cat")
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close(); _ = child.Wait() }()
	o := d.self
	o.PID = child.Process.Pid
	if o.Start, err = startTime(o.PID); err != nil || !d.alive(o) {
		t.Errorf("the child is not alive: %v", err)
	}
	for name, change := range map[string]func(*Owner){
		"another start": func(o *Owner) { o.Start++ },
		"another boot":  func(o *Owner) { o.Boot = "x" },
		"no process":    func(o *Owner) { o.PID = 1 << 30 },
	} {
		other := o
		change(&other)
		if d.alive(other) {
			t.Errorf("%s: alive", name)
		}
	}
}

// A directory that others can write to could make root undo what it never did.
func TestForeignDirectoryIsRefused(t *testing.T) {
	d, dir := open(t)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Take("wg0"); err == nil || !strings.Contains(err.Error(), "only its owner") {
		t.Errorf("%v, want a refusal", err)
	}
}

func TestDamagedJournalIsReplaced(t *testing.T) {
	d, dir := open(t)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.file("wg0"), []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, r, err := d.Take("wg0")
	if err != nil || r != nil {
		t.Fatalf("%+v, %v, want nothing known", r, err)
	}
	if err := f.Begin(d, "wg0", nil); err != nil {
		t.Error(err)
	}
	if r, err := d.Read("wg0"); err != nil || r == nil {
		t.Errorf("%+v, %v, want a journal", r, err)
	}
	_ = f.Close()
}

// The kernel gives the number of a network namespace that is gone to the next
// one: only its cookie says that it is another.
func TestNextNamespaceInheritsNothing(t *testing.T) {
	d, _ := open(t)
	d.namespace.Cookie = 5 // also on a kernel that has none
	f, _, err := d.Take("wg0")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Begin(d, "wg0", nil), f.Go(d, Complete), f.Close()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		cookie uint64
		stale  bool
	}{"the same": {d.namespace.Cookie, false}, "another": {d.namespace.Cookie + 1, true}, "unknown": {0, false}} {
		next := *d
		next.namespace.Cookie = c.cookie
		r, err := next.Read("wg0")
		if err != nil || r == nil || next.Stale(r) != c.stale {
			t.Errorf("cookie %s: %+v, %v, want stale %v", name, r, err, c.stale)
		}
	}
}

// A line that was not finished, as a full file system leaves it, does not spoil
// the next one.
func TestUnfinishedLineIsCutOff(t *testing.T) {
	d, _ := open(t)
	f, _, err := d.Take("wg0")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Begin(d, "wg0", nil), f.Go(d, Complete)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.f.WriteString(`{"n":1,"st`); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f, r, err := d.Take("wg0")
	if err != nil || r == nil || r.Phase != Complete {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := f.Intend("one"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Go(d, Down), f.Close()); err != nil {
		t.Fatal(err)
	}
	if r, err := d.Read("wg0"); err != nil || r.Damage != nil || len(r.Entries) != 1 || r.Phase != Down {
		t.Errorf("%+v, %v, want the step and the phase", r, err)
	}
}

// Nor does one that this process could not finish. The kernel takes what fits
// below the limit of a file's size.
func TestLineThatDoesNotFitIsCutOff(t *testing.T) {
	d, _ := open(t)
	f, _, err := d.Take("wg0")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Begin(d, "wg0", nil); err != nil {
		t.Fatal(err)
	}
	info, err := f.f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	signal.Ignore(unix.SIGXFSZ)
	defer signal.Reset(unix.SIGXFSZ)
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	limit := old
	limit.Cur = uint64(info.Size()) + 5
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	_, errFull := f.Intend("one")
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if errFull == nil {
		t.Error("there was room")
	}
	if err := errors.Join(f.Go(d, Complete), f.Close()); err != nil {
		t.Fatal(err)
	}
	if r, err := d.Read("wg0"); err != nil || r.Damage != nil || r.Phase != Complete {
		t.Errorf("%+v, %v, want the phase", r, err)
	}
}
