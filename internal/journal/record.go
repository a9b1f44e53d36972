package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/warrenvpn/warren/internal/nsid"
)

// version is that of the format.
const version = 1

// Phase is how far an interface has come.
type Phase string

// The phases.
const (
	Up       Phase = "up"       // it is being brought up
	Complete Phase = "complete" // it is up
	Down     Phase = "down"     // it is being taken down
)

// Owner is a process. Its number alone may be given to another.
type Owner struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // in clock ticks since boot
	Boot  string `json:"boot"`  // id of that boot
	PIDs  uint64 `json:"pids"`  // namespace in which the number counts
}

// Record is what a journal says.
type Record struct {
	Interface string
	Namespace nsid.ID // of the network
	Owner     Owner
	About     json.RawMessage // what the writer wants to find again
	Phase     Phase
	Entries   []Entry
	// Damage is why the rest of the file could not be read; nil: it all was.
	Damage error
}

// Entry is a step. One that was undone is not listed.
type Entry struct {
	Number int
	Step   json.RawMessage
	Done   bool
	Result json.RawMessage // what only became known when it was done
}

// line is any line of the file.
type line struct {
	Journal   string          `json:"journal,omitempty"`
	Version   int             `json:"version,omitempty"`
	Interface string          `json:"interface,omitempty"`
	Namespace uint64          `json:"namespace,omitempty"` // by inode
	Cookie    uint64          `json:"cookie,omitempty"`    // of it; 0: the kernel has none
	Owner     *Owner          `json:"owner,omitempty"`
	About     json.RawMessage `json:"about,omitempty"`

	N      int             `json:"n,omitempty"`
	Step   json.RawMessage `json:"step,omitempty"`
	Done   bool            `json:"done,omitempty"`
	Undone bool            `json:"undone,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`

	Phase Phase `json:"phase,omitempty"`
}

// ErrNotAJournal says that a file is none, or one of a later version.
var ErrNotAJournal = errors.New("not a journal of a version that is known")

// Parse reads the text of a journal. An empty one is that of a process that
// had not done anything. What comes before damage is returned.
func Parse(text []byte) (*Record, error) {
	r := &Record{Phase: Up}
	end := bytes.LastIndexByte(text, '\n') // what follows was not finished
	if end < 0 {
		return r, nil
	}
	for i, b := range bytes.Split(text[:end], []byte{'\n'}) {
		var l line
		err := json.Unmarshal(b, &l)
		if i == 0 {
			if err != nil || l.Journal != "warren" || l.Version != version || l.Owner == nil {
				return nil, ErrNotAJournal
			}
			r.Interface, r.Namespace, r.Owner, r.About = l.Interface, nsid.ID{Inode: l.Namespace, Cookie: l.Cookie}, *l.Owner, l.About
			continue
		}
		if err == nil {
			err = r.apply(l)
		}
		if err != nil {
			r.Damage = fmt.Errorf("damaged at line %d: %w", i+1, err)
			break
		}
	}
	return r, nil
}

// apply adds what one line says.
func (r *Record) apply(l line) error {
	switch {
	case l.Phase != "":
		if l.Phase != Up && l.Phase != Complete && l.Phase != Down {
			return fmt.Errorf("unknown phase %q", l.Phase)
		}
		r.Phase = l.Phase
		if l.Owner != nil {
			r.Owner = *l.Owner
		}
		return nil
	case len(l.Step) > 0:
		if n := len(r.Entries); n > 0 && l.N <= r.Entries[n-1].Number || l.N <= 0 {
			return fmt.Errorf("step %d is out of order", l.N)
		}
		r.Entries = append(r.Entries, Entry{Number: l.N, Step: l.Step})
		return nil
	}
	for i := range r.Entries {
		if r.Entries[i].Number != l.N {
			continue
		}
		if l.Undone {
			r.Entries = append(r.Entries[:i], r.Entries[i+1:]...)
			return nil
		}
		if l.Done {
			r.Entries[i].Done, r.Entries[i].Result = true, l.Result
			return nil
		}
	}
	return fmt.Errorf("says nothing about a step that is known")
}

// next is the number after that of the last step.
func (r *Record) next() int {
	if len(r.Entries) == 0 {
		return 1
	}
	return r.Entries[len(r.Entries)-1].Number + 1
}
