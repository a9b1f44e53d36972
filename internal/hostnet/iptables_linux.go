package hostnet

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// iptables is only spoken to where nftables is missing, and to remove what
// wg-quick left with it. There is no interface to it but its programs: which of
// its two implementations is in use is their secret.

// The programs' names begin with these.
const (
	iptables  = "iptables"
	ip6tables = "ip6tables"
)

// addIPTables puts the rules in place of those the interface has.
func addIPTables(a AntiLeak) error {
	program := iptables
	if a.Family == 6 {
		program = ip6tables
	}
	saved, err := exec.Command(program + "-save").Output()
	if err != nil {
		return fmt.Errorf("%s-save: %w", program, err)
	}
	return restore(program, iptablesDelete(string(saved), a.Interface)+iptablesAdd(a))
}

// removeIPTables deletes the rules that carry the comment of an interface.
// Where the programs are missing or find nothing in this kernel, there are none.
func removeIPTables(link string) error {
	var failed []error
	for _, program := range []string{iptables, ip6tables} {
		saved, err := exec.Command(program + "-save").Output()
		if err != nil {
			continue
		}
		if rules := iptablesDelete(string(saved), link); rules != "" {
			failed = append(failed, restore(program, rules))
		}
	}
	return errors.Join(failed...)
}

// restore carries rules out beside those that are there.
func restore(program, rules string) error {
	c := exec.Command(program+"-restore", "-n")
	c.Stdin = strings.NewReader(rules)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s-restore: %w: %s", program, err, strings.TrimSpace(string(out)))
	}
	return nil
}
