package resolver

import (
	"fmt"

	"github.com/warrenvpn/warren/internal/nsid"
)

// place is the network namespace that the name of a tunnel is one of. It is
// stored with the tunnel.
type place struct {
	Namespace string `json:"namespace"`        // the kernel's name of it
	Cookie    uint64 `json:"cookie,omitempty"` // of it; 0: the kernel has none
	PIDs      uint64 `json:"pids,omitempty"`   // namespace whose processes the tunnel's maker saw; 0: unknown
}

// here is the place of this process.
func here() place {
	id, err := nsid.Current()
	if err != nil {
		return place{Namespace: "unknown"}
	}
	pids, _ := nsid.PIDs()
	return place{id.String(), id.Cookie, pids}
}

// bootID names this run of the kernel.
func bootID() string {
	boot, err := nsid.Boot()
	if err != nil {
		return "unknown"
	}
	return boot
}

// is reports whether p and o are one namespace.
func (p place) is(o place) bool {
	return p.Namespace == o.Namespace && (p.Cookie == o.Cookie || p.Cookie == 0 || o.Cookie == 0)
}

// vanished reports whether p is certainly no namespace any more, as seen from
// here. Whoever does not see the processes that p's tunnel was made among cannot
// tell.
func (p place) vanished(here place) bool {
	switch {
	case p.is(here):
		return false
	case p.Namespace == here.Namespace:
		return true // its number was given to this one
	case p.PIDs == 0 || p.PIDs != here.PIDs:
		return false
	}
	id := nsid.ID{Cookie: p.Cookie}
	if _, err := fmt.Sscanf(p.Namespace, "net:[%d]", &id.Inode); err != nil {
		return false
	}
	return !nsid.Exists(id)
}

// gone reports whether a tunnel cannot be in force any more: its interface, or
// the namespace that it was in, is gone. Nobody would take it down.
func (e Environment) gone(t tunnel, here place) bool {
	return t.place.is(here) && !e.linkExists(t.Name) || t.vanished(here)
}
