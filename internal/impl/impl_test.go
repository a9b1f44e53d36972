package impl

import (
	"errors"
	"testing"
)

// clean gives the test a registry of its own.
func clean(t *testing.T, force string) {
	saved, was := sets, forced
	sets, forced = nil, force
	t.Cleanup(func() { sets, forced = saved, was })
}

func job(name string) *Set[int] {
	return NewSet(name,
		Implementation[int]{Name: "wings", Needs: "feathers", Usable: false, Value: 3},
		Implementation[int]{Name: "legs", Needs: "feet", Usable: true, Value: 2},
		Implementation[int]{Name: Generic, Usable: true, Value: 1},
	)
}

func TestSetBeginsWithTheBestUsable(t *testing.T) {
	clean(t, "")
	if got := *job("move").Get(); got != 2 {
		t.Errorf("in use: %d, want 2, the first usable one", got)
	}
}

func TestUseSwitchesOneJobOrAll(t *testing.T) {
	clean(t, "")
	a, b := job("a"), job("b")
	for _, tc := range []struct {
		choice string
		a, b   int
	}{{"a=generic", 1, 2}, {"legs", 2, 2}, {"generic", 1, 1}, {"a=legs,b=generic", 2, 1}} {
		if err := Use(tc.choice); err != nil {
			t.Errorf("Use(%q): %v", tc.choice, err)
		}
		if *a.Get() != tc.a || *b.Get() != tc.b {
			t.Errorf("after Use(%q): %d and %d, want %d and %d", tc.choice, *a.Get(), *b.Get(), tc.a, tc.b)
		}
	}
}

func TestUseRefusesAndChangesNothing(t *testing.T) {
	clean(t, "")
	a, b := job("a"), job("b")
	for _, tc := range []struct {
		choice string
		want   error
	}{
		{"a=generic,b=wings", ErrUnusable}, {"a=generic,c=legs", ErrUnknown}, {"a=generic,hands", ErrUnknown},
		{"", ErrUnknown}, {"=", ErrUnknown}, {"wings", ErrUnusable}, {"a=", ErrUnknown},
	} {
		if err := Use(tc.choice); !errors.Is(err, tc.want) {
			t.Errorf("Use(%q): %v, want %v", tc.choice, err, tc.want)
		}
		if *a.Get() != 2 || *b.Get() != 2 {
			t.Fatalf("after Use(%q), which failed: %d and %d, want 2 and 2", tc.choice, *a.Get(), *b.Get())
		}
	}
}

func TestNewSetRefusesNonsense(t *testing.T) {
	clean(t, "")
	job("a")
	for name, f := range map[string]func(){
		"a name that is taken": func() { job("a") },
		"nothing usable":       func() { NewSet("b", Implementation[int]{Name: "wings"}) },
		"nothing at all":       func() { NewSet[int]("c") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func TestListTellsAll(t *testing.T) {
	clean(t, "")
	job("b")
	job("a")
	list := List()
	if len(list) != 6 || list[0].Job != "a" || list[3].Job != "b" {
		t.Fatalf("List() = %+v, want three of a, then three of b", list)
	}
	if want := (Info{Job: "a", Name: "legs", Needs: "feet", Usable: true, InUse: true}); list[1] != want {
		t.Errorf("List()[1] = %+v, want %+v", list[1], want)
	}
}

func TestForcedAtLinkTime(t *testing.T) {
	clean(t, "a=generic")
	a, b := job("a"), job("b")
	if *a.Get() != 1 || *b.Get() != 2 {
		t.Errorf("in use: %d and %d, want 1 (forced) and 2", *a.Get(), *b.Get())
	}
	clean(t, "a=wings")
	defer func() {
		if recover() == nil {
			t.Error("an implementation that cannot run was taken without a word")
		}
	}()
	job("a")
}
