// Package slab hands out memory for values that are many and live equally long:
// from the allocator it comes in large pieces, so that a configuration of a
// million peers is not millions of allocations.
//
// It frees nothing: a piece is garbage when nothing points into it any more. So
// it is not for values of which one may outlive the others by far.
package slab

// piece is how many values are allocated together.
const piece = 512

// Slab is memory for values of type T. The zero value is ready. It belongs to
// one goroutine.
type Slab[T any] struct {
	free []T // of the present piece: what is not in use, all zero
}

// One returns a zero value.
func (s *Slab[T]) One() *T {
	if len(s.free) == 0 {
		s.free = make([]T, piece)
	}
	v := &s.free[0]
	s.free = s.free[1:]
	return v
}

// Begin returns an empty list to append to. Keep of that list, whatever became
// of it, follows before anything else is asked of s.
func (s *Slab[T]) Begin() []T {
	const few = 4
	if len(s.free) < few {
		s.free = make([]T, piece)
	}
	return s.free[:0]
}

// Keep returns a list that was begun, and has grown by appending to it, at its
// final length. What is appended to it later does not reach into other lists.
func (s *Slab[T]) Keep(list []T) []T {
	n := len(list)
	if n <= len(s.free) {
		s.free = s.free[n:]
	} else { // it has filled the piece and moved on to memory of its own
		s.free = nil
	}
	return list[:n:n]
}
