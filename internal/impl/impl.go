// Package impl is the registry of jobs that have several implementations: a
// plain one that every processor runs, and faster ones that need features some
// have not. A package that has such a job declares a Set of what it calls
// through; people and tests list all sets and switch one over by name.
//
//	var kernels = impl.NewSet("aead",
//		impl.Implementation[kernel]{Name: "avx512", Needs: "AVX-512 IFMA", Usable: hasIFMA, Value: avx512},
//		impl.Implementation[kernel]{Name: "generic", Usable: true, Value: generic},
//	)
//
//	kernels.Get().seal(...) // hot path: one load
//
// A set begins with its first usable implementation, the best.
package impl

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
)

// Generic is the name of the plain implementation that every set has.
const Generic = "generic"

// ErrUnknown means that there is no job or no implementation of a name.
var ErrUnknown = errors.New("no such implementation")

// ErrUnusable means that this processor cannot run an implementation.
var ErrUnusable = errors.New("not for this processor")

// Implementation is one way to do a job. T is what the job's package calls it
// by: a function, or a struct of functions.
type Implementation[T any] struct {
	Name   string
	Needs  string // what a processor must have, in words; empty for nothing
	Usable bool   // this processor has it
	Value  T
}

// Set is one job and its implementations. It is safe for concurrent use.
type Set[T any] struct {
	job     string
	all     []Implementation[T]
	current atomic.Pointer[Implementation[T]]
}

// forced switches implementations over when a program is linked, for tests:
//
//	go test -ldflags "-X github.com/warrenvpn/warren/internal/impl.forced=aead=generic"
var forced string

// sets is filled while packages are initialised and only read afterwards.
var sets []set

// set is a Set of any type.
type set interface {
	info() []Info
	name() string
	use(implementation string) error
}

// NewSet registers a job with its implementations, best first. It is called
// while packages are initialised, and panics if it is told nonsense: no usable
// implementation, or a name that is taken.
func NewSet[T any](job string, all ...Implementation[T]) *Set[T] {
	s := &Set[T]{job: job, all: all}
	best := slices.IndexFunc(all, func(i Implementation[T]) bool { return i.Usable })
	if best < 0 {
		panic("impl: " + job + ": nothing to run")
	}
	s.current.Store(&s.all[best])
	for _, other := range sets {
		if other.name() == job {
			panic("impl: " + job + ": registered twice")
		}
	}
	sets = append(sets, s)
	for choice := range strings.SplitSeq(forced, ",") {
		j, name, both := strings.Cut(choice, "=")
		if !both {
			j, name = job, choice
		}
		if name != "" && j == job {
			if err := s.use(name); err != nil {
				panic("impl: " + err.Error())
			}
		}
	}
	return s
}

// Get returns what is in use. Callers do not keep it.
//
// hot path
func (s *Set[T]) Get() *T { return &s.current.Load().Value }

// All returns the implementations that this processor can run, for tests that
// compare them.
func (s *Set[T]) All() []Implementation[T] {
	return slices.DeleteFunc(slices.Clone(s.all), func(i Implementation[T]) bool { return !i.Usable })
}

// Use switches over to the named implementation.
func (s *Set[T]) Use(name string) error { return s.use(name) }

func (s *Set[T]) name() string { return s.job }

func (s *Set[T]) use(name string) error {
	i := slices.IndexFunc(s.all, func(i Implementation[T]) bool { return i.Name == name })
	if i < 0 {
		return fmt.Errorf("%s: %q: %w", s.job, name, ErrUnknown)
	}
	if !s.all[i].Usable {
		return fmt.Errorf("%s: %q needs %s: %w", s.job, name, s.all[i].Needs, ErrUnusable)
	}
	s.current.Store(&s.all[i])
	return nil
}

func (s *Set[T]) info() []Info {
	var list []Info
	for i := range s.all {
		a := &s.all[i]
		list = append(list, Info{Job: s.job, Name: a.Name, Needs: a.Needs, Usable: a.Usable, InUse: s.current.Load() == a})
	}
	return list
}

// Info describes an implementation of a job.
type Info struct {
	Job    string
	Name   string
	Needs  string // what a processor must have; empty for nothing
	Usable bool   // this processor has it
	InUse  bool
}

// List returns all implementations of all jobs: jobs by name, and each job's
// implementations from the best to the plainest.
func List() []Info {
	var list []Info
	for _, s := range sets {
		list = append(list, s.info()...)
	}
	slices.SortStableFunc(list, func(a, b Info) int { return cmp.Compare(a.Job, b.Job) })
	return list
}

// Use switches implementations over: "aead=avx2,checksum=generic" two jobs,
// and "generic", a name without a job, all jobs that have it. Either all of it
// is done, or nothing and an error returned.
func Use(choices string) error {
	type step struct {
		s    set
		name string
	}
	var steps []step
	for choice := range strings.SplitSeq(choices, ",") {
		job, name, both := strings.Cut(choice, "=")
		if !both {
			name = choice
		}
		var found int
		for _, s := range sets {
			for _, i := range s.info() {
				if i.Name == name && (!both || i.Job == job) {
					if !i.Usable {
						return fmt.Errorf("%s: %q needs %s: %w", i.Job, name, i.Needs, ErrUnusable)
					}
					steps = append(steps, step{s: s, name: name})
					found++
				}
			}
		}
		if found == 0 {
			return fmt.Errorf("%q: %w", choice, ErrUnknown)
		}
	}
	for _, st := range steps {
		if err := st.s.use(st.name); err != nil {
			return err // cannot be: all were looked at above
		}
	}
	return nil
}
