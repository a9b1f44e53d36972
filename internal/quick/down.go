package quick

import (
	"fmt"
	"net/netip"
	"slices"
)

// Down plans taking a tunnel down, with the facts for Remove. There is no way
// back from its steps: a failing PreDown leaves the tunnel up, a failing
// PostDown finds it gone.
func Down(c *Config, f Facts) ([]Step, error) {
	if err := checkRemove(c, f); err != nil {
		return nil, err
	}
	var steps []Step
	steps = append(steps, c.hooks("PreDown", c.PreDown)...)
	switch {
	case c.SaveConfig.Value && c.File == "":
		steps = append(steps, Step{Kind: Warn, Text: fmt.Sprintf("%s is gone: the state of %s is not saved", c.Path, c.Name)})
	case c.SaveConfig.Value:
		steps = append(steps, SaveStep(c))
	}
	steps = append(steps, removal(c, f)...)
	return append(steps, c.hooks("PostDown", c.PostDown)...), nil
}

// SaveStep plans writing the state of the interface to its file.
func SaveStep(c *Config) Step {
	return Step{Kind: Save, Name: c.File + ".tmp", Key: "SaveConfig", Line: c.SaveConfig.Line}
}

// removal plans taking away what makes up the tunnel, in wg-quick's order.
func removal(c *Config, f Facts) []Step {
	if f.Journal && !f.Doubtful {
		return Finish(f.Recorded)
	}
	var steps []Step
	for _, r := range oldRules(c, f) {
		steps = append(steps, Step{Kind: DeleteRule, Rule: r})
	}
	recorded := Finish(f.Recorded)
	if i := slices.IndexFunc(recorded, func(s Step) bool { return s.Kind == DeleteLink }); i >= 0 {
		steps = append(steps, recorded[i])
	} else {
		steps = append(steps, Step{Kind: DeleteLink})
	}
	if len(c.Servers) > 0 || len(c.Search) > 0 && !c.Compat {
		steps = append(steps, Step{Kind: UnsetDNS, Text: f.DNS.Unset, Lenient: true, Key: "DNS", Line: c.DNS[0].Line})
	}
	if f.Firewall {
		steps = append(steps, Step{Kind: RemoveFirewall, Lenient: true})
	}
	for _, s := range recorded {
		if s.Kind != DeleteLink && !slices.Contains(steps, s) {
			s.Lenient = true
			steps = append(steps, s)
		}
	}
	return steps
}

// oldRules finds the rules of a tunnel that was not brought up by this program,
// as wg-quick does: those for the table that the mark names, and those that
// keep from the default route, which may be those of anybody. Rules that are
// known to belong to other tunnels stay.
func oldRules(c *Config, f Facts) []Rule {
	full := slices.ContainsFunc(f.AllowedIPs, func(p netip.Prefix) bool { return p.Bits() == 0 })
	if !c.automatic() || f.FwMark == 0 || !full || ReservedTable(f.FwMark) {
		return nil
	}
	var rules []Rule
	for _, family := range [...]int{4, 6} {
		for _, suppress := range [...]bool{false, true} {
			for _, r := range f.Rules {
				if r.Family == family && !r.Other && !slices.Contains(f.Foreign, r) && old(r, f.FwMark, suppress) {
					rules = append(rules, r)
				}
			}
		}
	}
	return rules
}

func old(r Rule, mark uint32, suppress bool) bool {
	if suppress {
		return r.Table == tableMain && r.SuppressDefault && !r.Not && r.Mark == 0
	}
	return r.Table == mark && !r.SuppressDefault
}

// RollBack plans undoing the steps of an up that failed, which are given in
// their order, as wg-quick does it.
func RollBack(done []Step) []Step {
	return undo(done, UnsetDNS, RemoveFirewall, DeleteRule, RestoreSysctl, RemoveFile, DeleteLink)
}

// Finish plans undoing the steps of an up that succeeded.
func Finish(done []Step) []Step {
	steps := undo(done, DeleteRule, DeleteLink, UnsetDNS, RemoveFirewall, RestoreSysctl, RemoveFile)
	for i := range steps {
		steps[i].Lenient = steps[i].Kind != DeleteLink && steps[i].Kind != DeleteRule
	}
	return steps
}

// undo collects the steps that take others back, by kinds. Of steps that are
// the same one is enough; rules go by family.
func undo(done []Step, order ...Kind) []Step {
	var all, steps []Step
	for _, s := range done {
		if u, ok := s.Undo(); ok && !slices.Contains(all, u) {
			all = append(all, u)
		}
	}
	for _, kind := range order {
		first := len(steps)
		for _, u := range all {
			if u.Kind == kind {
				steps = append(steps, u)
			}
		}
		if kind == DeleteRule {
			slices.SortStableFunc(steps[first:], func(a, b Step) int { return a.Rule.Family - b.Rule.Family })
		}
	}
	return steps
}

// checkRemove refuses to take down what is no tunnel of this namespace.
func checkRemove(c *Config, f Facts) error {
	switch {
	case f.WireGuard && f.LinkExists:
		return f.Obstacle
	case f.WireGuard && !c.Compat:
		return &Problem{
			Text: fmt.Sprintf("the interface `%s' is in another network namespace, or was renamed", c.Name),
			Hint: "take it down there: ip netns exec NAMESPACE warren down ...; renamed, `ip link delete` removes it",
		}
	case f.WireGuard && f.SocketExists: // wg-quick goes on, and fails at the link
		return f.Obstacle
	}
	return &Problem{Text: fmt.Sprintf("`%s' is not a WireGuard interface", c.Name)}
}
