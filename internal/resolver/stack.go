package resolver

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
)

// tunnel is one that has set the resolver.
type tunnel struct {
	Name  string `json:"name"`
	Index int    `json:"index"`
	place
	Servers []netip.Addr `json:"servers"`
	Domains []string     `json:"domains"`
	// Leaving says that it is being taken down. Used by claims alone.
	Leaving bool `json:"leaving,omitempty"`
}

// is reports whether t is the tunnel of a name in a network namespace.
func (t tunnel) is(name string, in place) bool {
	return t.Name == name && t.place.is(in)
}

// stack is all that must be remembered between up and down about a managed
// resolv.conf. It is saved before the file is touched, and says what the file
// should be; next says how to get there, from wherever a crash has left it.
type stack struct {
	Tunnels []tunnel `json:"tunnels"` // the last one is in force
	// Pending says that the top tunnel is being set: whatever the file holds
	// becomes the one to restore.
	Pending bool `json:"pending,omitempty"`
	// InPlace says that the file cannot be replaced by another, only written:
	// it is a mount point, or its folder is read-only.
	InPlace bool `json:"inPlace,omitempty"`
	// Writing is the change in place that is under way.
	Writing *writing `json:"writing,omitempty"`
}

// push puts a tunnel on top. One of the same name is replaced.
func (s *stack) push(t tunnel) {
	s.pop(t.Name, t.place)
	s.Tunnels = append(s.Tunnels, t)
	s.Pending = true
}

// pop removes a tunnel, wherever it is, and reports whether it was there.
func (s *stack) pop(name string, in place) bool {
	n := len(s.Tunnels)
	s.Tunnels = slices.DeleteFunc(slices.Clone(s.Tunnels), func(t tunnel) bool { return t.is(name, in) })
	if len(s.Tunnels) == 0 {
		s.Pending = false
	}
	return len(s.Tunnels) < n
}

// snapshot is one file as it was found.
type snapshot struct {
	exists bool
	text   []byte // of a link: of the file it leads to, or nothing
}

// view is what next decides by.
type view struct {
	target snapshot // /etc/resolv.conf
	backup snapshot // the one that was there before, under its other name
	same   bool     // both are the same file
	// mounted: something is mounted at the target, so what lies beside it is
	// not its own, and there is no backup.
	mounted bool
}

// mine returns what the target says of itself if it is ours. A copy of ours
// that was made for another place, a container say, is not: what it speaks of is
// not there.
func (v view) mine() (mark, bool) {
	m, ok := unseal(v.target.text)
	switch {
	case !ok || v.mounted && m.kind != inside:
		return mark{}, false
	case m.kind == kept && (!v.backup.exists || v.same):
		return mark{}, false
	}
	return m, true
}

// verb is what an action does.
type verb uint8

const (
	done       verb = iota // nothing is left to do
	keep                   // give the target a second name, the backup's
	dropBackup             // take that name away
	replace                // put a new file with text at the place of the target
	write                  // write text into the target
	remove                 // remove the target
	putBack                // rename the backup to the target
	rescue                 // give the backup a name under which it stays
)

type action struct {
	verb verb
	text []byte
}

// changed reports whether another hand has written the file since it was set.
func (s *stack) changed(v view) bool {
	_, mine := v.mine()
	return !mine && !s.Pending && len(s.Tunnels) > 0 && !s.Writing.torn(v.target.text)
}

// next returns the next action towards what s says. Each is small enough to
// happen wholly or not at all, but for write, which Writing covers. The caller
// looks again after each.
func (s *stack) next(v view) action {
	m, mine := v.mine()
	torn := v.target.exists && !mine && s.Writing.torn(v.target.text)
	if torn {
		ours := false
		if m, ours = unseal(s.Writing.To); !ours {
			m = mark{inside, s.Writing.To} // it was being restored
		}
	}
	if len(s.Tunnels) == 0 {
		return s.restore(v, m, mine || torn)
	}
	if mine || torn {
		text := s.render(m, v)
		switch {
		case mine && bytes.Equal(text, v.target.text):
			return action{verb: done}
		case torn || s.InPlace || m.kind == inside:
			return action{write, text}
		}
		return action{replace, text}
	}
	if !s.Pending {
		return action{verb: done} // another hand's
	}
	return s.takeOver(v)
}

// takeOver makes a file that is not ours the one to restore.
func (s *stack) takeOver(v view) action {
	switch {
	case s.InPlace && v.backup.exists && !v.target.exists:
		return action{verb: putBack}
	case s.InPlace && v.backup.exists:
		return action{verb: dropBackup} // it may be the same file, which will be written
	case s.InPlace && v.target.exists:
		return action{write, s.render(mark{inside, v.target.text}, v)}
	case v.target.exists && !v.backup.exists:
		return action{verb: keep}
	case v.target.exists && !v.same:
		return action{verb: dropBackup} // of a file that another hand has replaced
	case v.backup.exists:
		return action{replace, s.render(mark{kind: kept}, v)}
	}
	return action{replace, s.render(mark{kind: absent}, v)}
}

func (s *stack) restore(v view, m mark, ours bool) action {
	switch {
	case ours && m.kind == inside:
		return action{write, m.original}
	case ours && m.kind == absent:
		return action{verb: remove}
	case v.backup.exists && (ours || !v.target.exists):
		return action{verb: putBack}
	case v.backup.exists && v.same:
		return action{verb: dropBackup}
	case v.backup.exists:
		return action{verb: rescue}
	}
	return action{verb: done}
}

// render returns the file for the tunnels of s, on top of what is to be
// restored. The servers are those of the highest tunnel that has some. Above
// it, tunnels add search domains.
func (s *stack) render(m mark, v view) []byte {
	var base contents
	switch {
	case m.kind == inside:
		base = parse(m.original)
	case m.kind == kept:
		base = parse(v.backup.text)
	}
	c := contents{options: base.options}
	for i := len(s.Tunnels) - 1; i >= 0 && len(c.servers) == 0; i-- {
		for _, a := range s.Tunnels[i].Servers {
			c.servers = append(c.servers, a.String())
		}
		c.add(s.Tunnels[i].Domains)
	}
	if len(c.servers) == 0 {
		c.servers = base.servers
		c.add(base.search)
	} else {
		// It says that the old servers are trusted, not these.
		c.options = slices.DeleteFunc(c.options, func(o string) bool { return o == "trust-ad" })
	}
	return m.seal(s.Tunnels[len(s.Tunnels)-1].Name, c)
}

// add adds search domains that are not there yet. Domains that are only routed
// have no place in a resolv.conf.
func (c *contents) add(domains []string) {
	for _, d := range domains {
		if !strings.HasPrefix(d, "~") && !slices.Contains(c.search, d) {
			c.search = append(c.search, d)
		}
	}
}
