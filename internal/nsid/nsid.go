package nsid

import "fmt"

// ID identifies a network namespace.
type ID struct {
	Inode  uint64 // of its file; no two that live have the same
	Cookie uint64 // given to one alone until the next boot; 0: the kernel has none
}

// Is reports whether a and b are one namespace. Where one of them has no cookie
// the number has to do.
func (a ID) Is(b ID) bool {
	return a.Inode == b.Inode && (a.Cookie == b.Cookie || a.Cookie == 0 || b.Cookie == 0)
}

// String is what the kernel calls the namespace in links below /proc.
func (a ID) String() string { return fmt.Sprintf("net:[%d]", a.Inode) }
