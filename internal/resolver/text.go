package resolver

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
)

// contents is what a resolv.conf says, as resolv.conf(5) reads it.
type contents struct {
	servers, search, options []string
}

// parse reads a resolv.conf, or a record of resolvconf, which has the same form.
func parse(text []byte) contents {
	var c contents
	for line := range strings.Lines(string(text)) {
		if line[0] == '#' || line[0] == ';' {
			continue
		}
		words := strings.Fields(line)
		if len(words) < 2 || !strings.HasPrefix(line, words[0]) { // indented: not a keyword
			continue
		}
		switch words[0] {
		case "nameserver":
			c.servers = append(c.servers, words[1])
		case "search":
			c.search = words[1:] // the last one counts
		case "domain":
			c.search = words[1:2]
		case "options":
			c.options = append(c.options, words[1:]...)
		}
	}
	return c
}

// addresses returns the servers that are addresses.
func (c contents) addresses() []netip.Addr {
	var list []netip.Addr
	for _, s := range c.servers {
		if a, err := netip.ParseAddr(s); err == nil {
			list = append(list, a)
		}
	}
	return list
}

// String writes what parse reads.
func (c contents) String() string {
	var b strings.Builder
	for _, s := range c.servers {
		b.WriteString("nameserver " + s + "\n")
	}
	if len(c.search) > 0 {
		b.WriteString("search " + strings.Join(c.search, " ") + "\n")
	}
	if len(c.options) > 0 {
		b.WriteString("options " + strings.Join(c.options, " ") + "\n")
	}
	return b.String()
}

// input is what resolvconf is given on standard input, compat 2.
func input(s Settings) string {
	var c contents
	for _, a := range s.Servers {
		c.servers = append(c.servers, a.String())
	}
	c.search = s.Domains
	return c.String()
}

// orderPrefix returns the prefix that Debian's interface-order gives a tunnel:
// "tun." for the first line of the form tun*, or nothing. A last line without
// its end is not read, as wg-quick's shell does not.
func orderPrefix(text []byte) string {
	for line := range strings.Lines(string(text)) {
		if !strings.HasSuffix(line, "\n") {
			break
		}
		word, star := strings.CutSuffix(strings.Trim(line, " \t\n"), "*")
		if star && word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == "" {
			return word + "."
		}
	}
	return ""
}

// kind says what became of the file that was at the place of ours.
type kind string

const (
	kept   kind = "kept"   // it has another name meanwhile
	absent kind = "absent" // there was none
	inside kind = "inside" // it was overwritten, and its text is in ours
)

// mark is what a file of ours says of itself, in a comment. A digest covers
// the rest of the file: one that another hand has changed is not ours any more.
// So the file can be told, and restored, also when the records below /run are
// lost, after a power failure say.
type mark struct {
	kind     kind
	original []byte // inside
}

const (
	markWord     = "# warren-resolver/1 "
	originalWord = "#= "
	originalLine = 72 // some readers of the file have short lines
)

// seal returns a file of ours.
func (m mark) seal(name string, c contents) []byte {
	var b strings.Builder
	b.WriteString("# Made by warren while the tunnel " + name + " is up. What was here before comes back\n")
	b.WriteString("# when it goes down, unless this file has been changed by another hand.\n")
	if m.kind == inside {
		text := base64.StdEncoding.EncodeToString(m.original)
		for len(text) > 0 {
			n := min(len(text), originalLine)
			b.WriteString(originalWord + text[:n] + "\n")
			text = text[n:]
		}
	}
	b.WriteString(c.String())
	return []byte(markWord + string(m.kind) + " " + digest(m.kind, b.String()) + "\n" + b.String())
}

// unseal reports whether text is a file of ours as seal wrote it.
func unseal(text []byte) (mark, bool) {
	first, rest, _ := strings.Cut(string(text), "\n")
	words, ok := strings.CutPrefix(first, markWord)
	k, sum, ok2 := strings.Cut(words, " ")
	m := mark{kind: kind(k)}
	if !ok || !ok2 || !slices.Contains([]kind{kept, absent, inside}, m.kind) || sum != digest(m.kind, rest) {
		return mark{}, false
	}
	if m.kind == inside {
		var b strings.Builder
		for line := range strings.Lines(rest) {
			if piece, ok := strings.CutPrefix(line, originalWord); ok {
				b.WriteString(strings.TrimSuffix(piece, "\n"))
			}
		}
		original, err := base64.StdEncoding.DecodeString(b.String())
		if err != nil {
			return mark{}, false
		}
		m.original = original
	}
	return m, true
}

func digest(k kind, rest string) string {
	sum := sha256.Sum256([]byte(string(k) + "\n" + rest))
	return hex.EncodeToString(sum[:])
}

// writing is a change of a file in place that may have been cut short.
type writing struct {
	From  []byte `json:"from"`
	To    []byte `json:"to"`
	Dirty bool   `json:"dirty,omitempty"` // From was left by one that was cut short
}

// torn reports whether text is what a change from w.From to w.To leaves when it
// ends early: neither of them, but the beginning of the new one, followed by
// what the old one has from there on.
func (w *writing) torn(text []byte) bool {
	switch {
	case w == nil || bytes.Equal(text, w.To):
		return false
	case bytes.Equal(text, w.From):
		return w.Dirty
	}
	n := 0
	for n < len(text) && n < len(w.To) && text[n] == w.To[n] {
		n++
	}
	return bytes.Equal(text[n:], w.From[min(n, len(w.From)):])
}
