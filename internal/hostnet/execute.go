package hostnet

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/warrenvpn/warren/internal/journal"
	"github.com/warrenvpn/warren/internal/quick"
)

// Performer looks at one host and changes it. It is the seam at which tests put
// a host that does not exist.
type Performer interface {
	// Facts gathers what planning this stage needs. It changes nothing.
	Facts(ctx context.Context, c *quick.Config, s quick.Stage) (quick.Facts, error)
	// Perform carries out one step, wholly or not at all: a step that failed
	// is not undone, but by a process that finds its intent in the journal. It
	// returns the step with what only became known by it. When ctx ends it
	// either finishes or takes back what it began. It is not called for steps
	// that only announce. A step that undoes another one and finds nothing to
	// undo succeeds.
	Perform(ctx context.Context, c *quick.Config, s quick.Step) (quick.Step, error)
	// IsTunnel reports whether there is an interface of this index, whatever its
	// name is now, of a kind that tunnels have.
	IsTunnel(index int) (bool, error)
}

// ErrNoKernel is the error of a CreateLink whose kind the kernel does not know.
var ErrNoKernel = errors.New("the kernel has no WireGuard")

// ErrNoTable is the error of a route in a table whose name the host does not
// know.
var ErrNoTable = errors.New("no such routing table")

// StepError is the failure of a step.
type StepError struct {
	Step quick.Step
	Err  error
}

// Error says what Err says.
func (e *StepError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *StepError) Unwrap() error { return e.Err }

// Run brings one tunnel up or down.
type Run struct {
	Config *quick.Config
	Host   Performer
	// Announce is told every step before it is performed, and every warning.
	Announce func(quick.Step)
	// Failed is told why Up fails, before anything is undone, and returns what
	// is to be said of it afterwards. nil: all of it.
	Failed func(error) error
	// Journal keeps what is done, for when this process dies. nil: nothing does.
	Journal *journal.Dir
	// Probe is told where a step has come to. It is for tests that end the
	// process there.
	Probe func(Moment, quick.Step)
}

// Moment is a point of a step at which a process may die.
type Moment uint8

// The moments of a step.
const (
	Planned   Moment = iota // nothing of it has happened
	Intended                // the journal has the intent
	Performed               // it is done
	Recorded                // and the journal has that too
)

// About is what a journal says of the tunnel besides its steps, for a down that
// finds no file.
type About struct {
	Path     string   `json:"path"`
	PreDown  []string `json:"preDown,omitempty"`
	PostDown []string `json:"postDown,omitempty"`
	Servers  []string `json:"servers,omitempty"`
	Table    string   `json:"table,omitempty"`
}

// Up brings the tunnel up. On any failure, and when ctx ends first, everything
// done so far is undone in the order of wg-quick before Up returns. What an
// interrupted up or down left behind is undone first.
func (r *Run) Up(ctx context.Context) error {
	l, problem, err := openLedger(r.Journal, r.Config.Name)
	if errors.Is(err, journal.ErrBusy) {
		return &quick.Problem{Text: fmt.Sprintf("`%s' already exists", r.Config.Name), Hint: "another process is just bringing it up or taking it down", Err: err}
	}
	if err != nil {
		return err
	}
	up, err := r.up(ctx, l, problem)
	if err == nil {
		err = l.enter(journal.Complete)
	}
	if err != nil && r.Failed != nil {
		err = r.Failed(err)
	}
	if err != nil && up {
		// The signal that ended ctx must not end the clean-up too.
		err = errors.Join(err, r.undo(context.WithoutCancel(ctx), l, quick.RollBack(l.steps())))
	}
	return errors.Join(err, l.close(err != nil && up && len(pending(l)) == 0))
}

// up reports whether it has begun, so that there may be something to undo.
func (r *Run) up(ctx context.Context, l *ledger, problem error) (begun bool, err error) {
	facts, err := r.facts(ctx, quick.Create)
	if err != nil {
		return false, err
	}
	renamed := false
	if l.found && l.phase == journal.Complete && !facts.LinkExists {
		if renamed, err = r.renamed(l); err != nil {
			return false, err
		}
	}
	switch {
	case !l.found || (l.phase == journal.Complete || l.halved()) && facts.LinkExists:
	case renamed && !r.Config.Compat:
		return false, r.renamedProblem()
	case l.phase == journal.Complete && (renamed || facts.SocketExists):
		// The tunnel, here or in another namespace, needs what was made for it.
		// To wg-quick the name is free: the journal stays unless the interface
		// can be made.
		l.spare()
	default:
		if err := r.recover(ctx, l, facts); err != nil {
			return false, err
		}
		if facts, err = r.facts(ctx, quick.Create); err != nil {
			return false, err
		}
	}
	steps, err := quick.Up(r.Config, quick.Create, facts)
	if err != nil {
		return false, err
	}
	if problem != nil {
		r.Announce(quick.Step{Kind: quick.Warn, Text: fmt.Sprintf("no journal is kept, so nothing would clean up if this was killed: %v", problem)})
	}
	if err := l.begin(r.about()); err != nil {
		return true, err
	}
	if err := r.performAll(ctx, l, steps); err != nil {
		return true, err
	}
	if err := l.replace(r.about()); err != nil {
		return true, err
	}
	for _, stage := range quick.Stages()[1:] {
		if err := r.stage(ctx, l, stage); err != nil {
			return true, err
		}
	}
	return true, orCause(ctx, nil)
}

// stage plans one stage and carries it out.
func (r *Run) stage(ctx context.Context, l *ledger, stage quick.Stage) error {
	var lock *journal.Lock
	defer func() { lock.Release() }()
	if stage == quick.Route {
		var err error
		if lock, err = r.share(ctx); err != nil {
			return err
		}
	}
	facts, err := r.facts(ctx, stage)
	if err != nil && stage == quick.Settle && ctx.Err() == nil {
		return nil // a hook took the interface away, which is its business
	}
	if err != nil {
		return err
	}
	steps, err := quick.Up(r.Config, stage, facts)
	if err != nil {
		return err
	}
	n := shared(steps)
	if err := r.performAll(ctx, l, steps[:n]); err != nil {
		return err
	}
	lock.Release() // hooks may bring up another tunnel
	return r.performAll(ctx, l, steps[n:])
}

func (r *Run) about() About {
	c := r.Config
	a := About{Path: c.Path, Table: c.Table.Value}
	for _, h := range c.PreDown {
		a.PreDown = append(a.PreDown, h.Value)
	}
	for _, h := range c.PostDown {
		a.PostDown = append(a.PostDown, h.Value)
	}
	for _, s := range c.Servers {
		a.Servers = append(a.Servers, s.String())
	}
	return a
}

// renamed reports whether the interface that the journal is about is there, but
// not under its name.
func (r *Run) renamed(l *ledger) (bool, error) {
	index := l.index()
	if index == 0 || l.stale {
		return false, nil
	}
	return r.Host.IsTunnel(index)
}

func (r *Run) renamedProblem() error {
	return &quick.Problem{
		Text: fmt.Sprintf("the interface of `%s' was renamed", r.Config.Name),
		Hint: "give it its name back, or remove it with `ip link delete`; then take it down",
	}
}

// recover undoes what an earlier process has left.
func (r *Run) recover(ctx context.Context, l *ledger, facts quick.Facts) error {
	text := map[journal.Phase]string{
		journal.Up:       "an earlier up was interrupted: what it did is undone",
		journal.Down:     "an earlier down was interrupted: the rest of it is done now",
		journal.Complete: "the interface is gone, but not what was made for it: that is undone",
	}[l.phase]
	steps := quick.RollBack(l.steps())
	if l.stale {
		// What the kernel had went with it.
		steps = slices.DeleteFunc(steps, func(s quick.Step) bool { return s.Kind != quick.UnsetDNS && s.Kind != quick.RemoveFile })
		text = "it was up before a restart, or in a network namespace that is gone: what is left of that is undone"
	}
	left := !l.stale || len(steps) > 0
	unsure := quick.Step{Kind: quick.DeleteLink} // of no index: its maker may have been killed before it made it
	switch {
	case l.phase == journal.Complete:
		// An interface of this name is another one.
		steps = slices.DeleteFunc(steps, func(s quick.Step) bool { return s.Kind == quick.DeleteLink })
	case facts.LinkExists && facts.Configured && slices.Contains(steps, unsure):
		r.Announce(quick.Step{Kind: quick.Warn, Text: fmt.Sprintf("there is an interface `%s' that another program has set up since an up was interrupted: it stays", r.Config.Name)})
		if err := l.undone(unsure); err != nil {
			return err
		}
		steps = slices.DeleteFunc(steps, func(s quick.Step) bool { return s == unsure })
		left = len(steps) > 0
	}
	if left {
		r.Announce(quick.Step{Kind: quick.Warn, Text: text})
	}
	r.sayDamage(l)
	if err := r.undo(context.WithoutCancel(ctx), l, steps); err != nil {
		return err
	}
	l.found, l.entries = false, nil
	return nil
}

// sayDamage tells of what a journal cannot.
func (r *Run) sayDamage(l *ledger) {
	if l.damage != nil {
		r.Announce(quick.Step{Kind: quick.Warn, Text: fmt.Sprintf("the journal of `%s' is %v: what was done after that is not known, and stays", r.Config.Name, l.damage)})
		l.damage = nil
	}
}

// facts gathers those of the host and adds what journals know.
func (r *Run) facts(ctx context.Context, s quick.Stage) (quick.Facts, error) {
	f, err := r.Host.Facts(ctx, r.Config, s)
	if err != nil {
		return f, orCause(ctx, err)
	}
	for _, e := range r.others() {
		switch {
		case e.Kind == quick.AddRule:
			f.Foreign = append(f.Foreign, e.Rule)
		case s == quick.Route && e.Value == "1" && e.Name == quick.SrcValidMark:
			f.HeldMark = e.Prior
		}
	}
	return f, nil
}

// others returns the steps that stand in the journals of other interfaces.
func (r *Run) others() []quick.Step {
	if r.Journal == nil {
		return nil
	}
	records, err := r.Journal.List()
	if err != nil {
		return nil
	}
	var all []quick.Step
	for _, record := range records {
		if record.Interface == r.Config.Name || r.Journal.Stale(record) {
			continue
		}
		for _, e := range decode(record) {
			all = append(all, e.step)
		}
	}
	return all
}

func (r *Run) performAll(ctx context.Context, l *ledger, steps []quick.Step) error {
	for _, s := range steps {
		err := r.perform(ctx, l, s)
		if errors.Is(err, ErrNoKernel) {
			var instead []quick.Step
			if instead, err = quick.FallBack(r.Config); err == nil {
				err = r.performAll(ctx, l, instead)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// perform announces and carries out one step, and keeps account of it.
func (r *Run) perform(ctx context.Context, l *ledger, s quick.Step) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	r.probe(Planned, s)
	r.announce(s)
	if s.Announces() {
		return nil
	}
	n, err := l.intend(s)
	if err != nil {
		return err
	}
	r.probe(Intended, s)
	done, err := r.Host.Perform(ctx, r.Config, s)
	if err != nil {
		if problem := l.failed(n); problem != nil {
			err = errors.Join(err, problem)
		}
		return orCause(ctx, &StepError{Step: s, Err: r.Config.Failed(s, err)})
	}
	r.probe(Performed, s)
	if err := l.done(n, s, done); err != nil {
		return err
	}
	r.probe(Recorded, s)
	return nil
}

func (r *Run) announce(s quick.Step) {
	if s.Trace(r.Config) != "" {
		r.Announce(s)
	}
}

func (r *Run) probe(m Moment, s quick.Step) {
	if r.Probe != nil {
		r.Probe(m, s)
	}
}

// undo performs steps that take others back. One that fails does not keep the
// others from being tried.
func (r *Run) undo(ctx context.Context, l *ledger, steps []quick.Step) error {
	var failed []error
	for _, s := range steps {
		if err := r.undoOne(ctx, l, s); err != nil {
			failed = append(failed, fmt.Errorf("roll back: %w", err))
		}
	}
	return errors.Join(failed...)
}

func (r *Run) undoOne(ctx context.Context, l *ledger, s quick.Step) error {
	if s.Kind == quick.RestoreSysctl {
		// Whoever is just planning on the setting has to be waited for, or would
		// be missed by needed. Not for ever: it sets it again if it needs it.
		patient, cancel := context.WithTimeout(ctx, patience)
		lock, _ := r.share(patient)
		cancel()
		defer lock.Release()
	}
	if !r.needed(s) {
		r.probe(Planned, s)
		r.announce(s)
		if _, err := r.Host.Perform(ctx, r.Config, s); err != nil {
			return r.Config.Failed(s, err)
		}
		r.probe(Performed, s)
	}
	r.unwritten(l.undone(s))
	return nil
}

// needed reports whether another tunnel needs what a step would take away: a
// setting as it is, or a rule that is in its journal too.
func (r *Run) needed(undo quick.Step) bool {
	return slices.ContainsFunc(r.others(), func(s quick.Step) bool {
		switch undo.Kind {
		case quick.RestoreSysctl:
			return (s.Kind == quick.SetSysctl || s.Kind == quick.HoldSysctl) && s.Name == undo.Name
		case quick.DeleteRule:
			return s.Kind == quick.AddRule && s.Rule == undo.Rule
		}
		return false
	})
}

// unwritten tells that the journal could not be continued while something was
// taken back, which goes on: all of it can be done twice.
func (r *Run) unwritten(err error) {
	if err != nil {
		r.Announce(quick.Step{Kind: quick.Warn, Text: err.Error()})
	}
}

// pending returns what is still to be undone.
func pending(l *ledger) []quick.Step { return quick.RollBack(l.steps()) }

// orCause prefers the reason why ctx ended to the failure that this led to.
func orCause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}
