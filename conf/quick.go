package conf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
)

// Quick is what wg-quick(8) adds to the [Interface] section.
type Quick struct {
	Address    []netip.Prefix // host bits kept; written without a length: /32 or /128
	DNS        []netip.Addr   // servers, in order
	Search     []string       // search domains, also given by DNS
	MTU        int            // 0: to be found out
	Table      string         // as written: "", "auto", "off", a number or a name
	PreUp      []string       // commands, in order; # and what follows is part of them
	PostUp     []string
	PreDown    []string
	PostDown   []string
	SaveConfig bool
}

// QuickFile is a wg-quick(8) configuration file.
type QuickFile struct {
	Name  string // the file's, for messages
	Quick Quick
	lines []passedLine // what is for wg(8)
}

// passedLine is a line that is not for wg-quick, without white space around it.
type passedLine struct {
	number int
	text   string
}

// ParseQuick reads wg-quick(8) configuration text. It knows the keys of
// wg-quick inside [Interface] and passes everything else on to wg(8), right or
// wrong: see WireGuard.
func ParseQuick(text, name string) (*QuickFile, error) { return parseQuick(text, name, false) }

func parseQuick(text, name string, lenient bool) (*QuickFile, error) {
	f := &QuickFile{Name: name}
	inInterface := false
	lines := splitLines(text)
	for n, line := range lines {
		// The shell reads no zero bytes, and trims. A last line without an end
		// counts only if something is left then.
		line = strings.Trim(strings.ReplaceAll(line, "\x00", ""), " \t")
		if line == "" && n == len(lines)-1 && !strings.HasSuffix(text, "\n") {
			break
		}
		if n == 0 {
			line = strings.TrimPrefix(line, "\ufeff")
		}
		stripped, _, _ := strings.Cut(line, "#")
		k, v, hasValue := strings.Cut(stripped, "=")
		k, v = trim(k), trim(v)
		if strings.HasPrefix(k, "[") {
			inInterface = equalFold(k, "[Interface]")
		}
		if !inInterface || !hasValue || !isQuickKey(k) {
			f.lines = append(f.lines, passedLine{n + 1, line})
			continue
		}
		if set, ok := hookOf(&f.Quick, k); ok {
			// A command may hold #: the value is all of the line.
			_, v, _ = strings.Cut(line, "=")
			*set = append(*set, trim(v))
			continue
		}
		if err := f.Quick.assign(k, v); err != nil && (!lenient || err.Key == "SaveConfig") {
			err.File, err.Line, err.Column = name, n+1, strings.IndexByte(line, '=')+2
			return nil, err
		}
	}
	return f, nil
}

// Strip returns the text that is for wg(8): every other line, also comments and
// empty ones.
func (f *QuickFile) Strip() string {
	var b strings.Builder
	for _, l := range f.lines {
		b.WriteString(l.text)
		b.WriteByte('\n')
	}
	return b.String()
}

// ParseQuickLenient is ParseQuick for what needs no addresses, servers or MTU:
// those that are wrong are left out. wg-quick itself minds no value but that of
// SaveConfig.
func ParseQuickLenient(text, name string) (*QuickFile, error) { return parseQuick(text, name, true) }

// WireGuard parses the part that is for wg(8). Line numbers are those of the
// whole file.
func (f *QuickFile) WireGuard(o Options) (*Config, error) {
	p := parser{file: f.Name, options: o, config: &Config{}}
	for _, l := range f.lines {
		if err := p.parseLine(l.number, l.text); err != nil {
			return nil, err
		}
	}
	return p.finish()
}

var quickKeys = []string{
	"Address", "DNS", "MTU", "Table", "PreUp", "PostUp", "PreDown", "PostDown", "SaveConfig",
}

func isQuickKey(k string) bool {
	for _, q := range quickKeys {
		if equalFold(q, k) {
			return true
		}
	}
	return false
}

// hookOf returns the list that a key for a command adds to.
func hookOf(q *Quick, k string) (list *[]string, ok bool) {
	switch {
	case equalFold(k, "PreUp"):
		return &q.PreUp, true
	case equalFold(k, "PostUp"):
		return &q.PostUp, true
	case equalFold(k, "PreDown"):
		return &q.PreDown, true
	case equalFold(k, "PostDown"):
		return &q.PostDown, true
	}
	return nil, false
}

// assign handles the keys that are no commands.
func (q *Quick) assign(k, v string) *ParseError {
	switch {
	case equalFold(k, "Address"):
		return q.addAddresses(v)
	case equalFold(k, "DNS"):
		return q.addDNS(v)
	case equalFold(k, "Table"):
		q.Table = v
	case equalFold(k, "MTU"):
		n, err := strconv.ParseUint(v, 10, 31)
		if err != nil && v != "" {
			return &ParseError{Key: "MTU", Detail: strconv.Quote(v) + " is not a number of bytes"}
		}
		q.MTU = int(n)
	case equalFold(k, "SaveConfig"):
		if !equalFold(v, "true") && !equalFold(v, "false") {
			return &ParseError{
				Key: "SaveConfig", Detail: strconv.Quote(v) + " is neither true nor false",
				Tool: "`" + v + "' is neither true nor false",
			}
		}
		q.SaveConfig = equalFold(v, "true")
	}
	return nil
}

func (q *Quick) addAddresses(v string) *ParseError {
	for _, s := range fields(v) {
		p, err := ParseAddress(s)
		if err != nil {
			return &ParseError{
				Key: "Address", Detail: strconv.Quote(s) + " is not an IP address with an optional /length",
				Hint: "for example 10.0.0.1/24 or fd00::1/64", Err: err,
			}
		}
		q.Address = append(q.Address, p)
	}
	return nil
}

func (q *Quick) addDNS(v string) *ParseError {
	for _, s := range fields(v) {
		if strings.Trim(s, "0123456789.") != "" && !strings.ContainsRune(s, ':') {
			q.Search = append(q.Search, s)
			continue
		}
		a, err := netip.ParseAddr(s)
		if err != nil {
			return &ParseError{Key: "DNS", Detail: strconv.Quote(s) + " is neither an IP address nor a domain", Err: err}
		}
		q.DNS = append(q.DNS, a)
	}
	return nil
}

// ParseAddress reads an interface's address. Without a length it is that of a
// single host; a length may be an IPv4 mask, as ip(8) takes it.
func ParseAddress(s string) (netip.Prefix, error) {
	if address, length, ok := strings.Cut(s, "/"); ok {
		mask, err := netip.ParseAddr(length)
		if err != nil || !mask.Is4() {
			return netip.ParsePrefix(s)
		}
		m := mask.As4()
		bits := bits.LeadingZeros32(^binary.BigEndian.Uint32(m[:]))
		if net, _ := mask.Prefix(bits); net.Addr() != mask {
			return netip.Prefix{}, fmt.Errorf("%s is no mask: want ones, then zeros, as in 255.255.255.0", length)
		}
		a, err := netip.ParseAddr(address)
		if err == nil && !a.Is4() {
			err = fmt.Errorf("%s is a mask for IPv4: want a number of bits", length)
		}
		return netip.PrefixFrom(a, bits), err
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	if a.Zone() != "" {
		return netip.Prefix{}, errors.New("an interface's address has no zone")
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// fields splits a list at commas and white space.
func fields(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r < 0x80 && isSpace(byte(r)) })
}

func trim(s string) string { return strings.Trim(s, " \t\n\v\f\r") }

// splitLines splits a text into lines; what follows the last line feed is one
// if it is not empty.
func splitLines(s string) []string {
	lines := strings.Split(s, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}
