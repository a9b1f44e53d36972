package conf

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/warrenvpn/warren/key"
)

// Config is configuration as it is written: what a file says, and nothing
// about what it leaves out.
type Config struct {
	PrivateKey *key.Private // nil: not given
	ListenPort string       // number or service name; empty: not given
	FwMark     *uint32      // nil: not given
	// Peers are the sections in order; a key may occur more than once. Each
	// replaces the peer's allowed IPs, unless its last list has + or -.
	// Endpoints may have names.
	Peers []PeerChange
}

// Options are a caller's part in parsing. All of them may be nil. They are
// called in the order of the lines, and their errors end the parsing as a
// mistake in that line.
type Options struct {
	// Warn is told of what is allowed but seldom meant.
	Warn func(Warning)
	// Endpoint may replace an endpoint by a numeric one. text is the endpoint
	// as written.
	Endpoint func(text string, e Endpoint) (Endpoint, error)
	// Service returns the number of a UDP service that is not one itself; the
	// parsed ListenPort is that number then.
	Service func(name string) (uint16, error)
}

// maxLine is the longest line, in bytes: a list of some 400 000 allowed IPs.
const maxLine = 16 << 20

// Parse reads wg(8) configuration text. name is the file's, for messages.
func Parse(r io.Reader, name string, o Options) (*Config, error) {
	p := parser{file: name, options: o, config: &Config{}}
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, 4096), maxLine)
	for n := 1; in.Scan(); n++ {
		if err := p.parseLine(n, in.Text()); err != nil {
			return nil, err
		}
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	return p.finish()
}

// parser reads lines one after the other.
type parser struct {
	file    string
	options Options
	config  *Config
	section section
	started []int // the line each peer section begins at
	line    int   // the present one
	raw     string
}

type section uint8

const (
	noSection section = iota
	interfaceSection
	peerSection
)

func (p *parser) parseLine(n int, raw string) error {
	p.line, p.raw = n, raw
	text := raw
	if n == 1 {
		text = strings.TrimPrefix(text, "\ufeff") // editors of some systems begin files so
	}
	// wg(8) handles lines as C strings: nothing follows a zero byte.
	text, _, _ = strings.Cut(text, "\x00")
	text, _, _ = strings.Cut(text, "#")
	text = RemoveSpace(text)
	switch {
	case text == "":
		return nil
	case equalFold(text, "[Interface]"):
		p.section = interfaceSection
		return nil
	case equalFold(text, "[Peer]"):
		p.section = peerSection
		p.config.Peers = append(p.config.Peers, PeerChange{ReplaceAllowedIPs: true})
		p.started = append(p.started, n)
		return nil
	}
	if err := p.assign(text); err != nil {
		return p.mistake(text, err)
	}
	return nil
}

// assign handles key=value.
func (p *parser) assign(text string) error {
	k, v, ok := strings.Cut(text, "=")
	name, known := lookUp(p.section, k)
	if !ok || !known || v == "" && name != "AllowedIPs" {
		return p.unrecognized(text, k, v, ok)
	}
	if p.section == interfaceSection {
		return named(name, p.interfaceKey(name, v))
	}
	return named(name, p.peerKey(&p.config.Peers[len(p.config.Peers)-1], name, v))
}

// keysOf are the keys of each section as documented.
var keysOf = map[section][]string{
	interfaceSection: {"PrivateKey", "ListenPort", "FwMark"},
	peerSection:      {"PublicKey", "PresharedKey", "AllowedIPs", "Endpoint", "PersistentKeepalive"},
}

// lookUp finds a key of a section in any case.
func lookUp(s section, k string) (name string, ok bool) {
	for _, name := range keysOf[s] {
		if equalFold(name, k) {
			return name, true
		}
	}
	return "", false
}

func (p *parser) interfaceKey(name, v string) error {
	c := p.config
	switch name {
	case "PrivateKey":
		k, err := ParsePrivateKey(v)
		c.PrivateKey = &k
		return err
	case "FwMark":
		m, err := ParseFwMark(v)
		c.FwMark = &m
		return err
	default: // ListenPort
		port, err := p.listenPort(v)
		c.ListenPort = port
		return err
	}
}

func (p *parser) listenPort(v string) (string, error) {
	if err := CheckPort(v); err != nil {
		return "", err
	}
	if p.options.Service == nil || !isName(v) {
		return v, nil
	}
	n, err := p.options.Service(v)
	if err != nil {
		return "", &ParseError{
			Detail: strconv.Quote(v) + " is not the name of a UDP service", Err: err,
			Hint: "a number works everywhere", Tool: noService + ": `" + v + "'",
		}
	}
	return strconv.Itoa(int(n)), nil
}

func isName(port string) bool {
	_, err := strconv.ParseUint(port, 10, 16)
	return err != nil
}

func (p *parser) peerKey(c *PeerChange, name, v string) error {
	switch name {
	case "PublicKey":
		k, err := ParsePublicKey(v)
		c.PublicKey = k
		if err == nil {
			p.started[len(p.started)-1] = 0 // named
		}
		return err
	case "PresharedKey":
		k, err := ParsePresharedKey(v)
		c.PresharedKey = &k
		return err
	case "PersistentKeepalive":
		s, err := ParseKeepalive(v)
		c.PersistentKeepalive = &s
		return err
	case "Endpoint":
		e, err := ParseEndpoint(v)
		if err == nil && p.options.Endpoint != nil {
			e, err = p.options.Endpoint(v, e)
		}
		c.Endpoint = &e
		return err
	default: // AllowedIPs
		a, err := ParseAllowedIPs(v)
		p.warn(a.Warnings)
		c.AllowedIPs = append(c.AllowedIPs, a.List...)
		c.ReplaceAllowedIPs = !a.Incremental
		return err
	}
}

func (p *parser) warn(texts []string) {
	if p.options.Warn == nil {
		return
	}
	for _, text := range texts {
		p.options.Warn(Warning{File: p.file, Line: p.line, Text: text})
	}
}

// finish checks what only the whole text shows.
func (p *parser) finish() (*Config, error) {
	for _, line := range p.started {
		if line != 0 {
			return nil, &ParseError{
				File: p.file, Line: line, Column: 1, Key: "PublicKey",
				Detail: "this peer has no public key", Hint: "every [Peer] needs a line PublicKey = ...",
				Tool: "A peer is missing a public key", Err: ErrNoPublicKey,
			}
		}
	}
	return p.config, nil
}

// unrecognized explains a line that means nothing.
func (p *parser) unrecognized(text, k, v string, hasValue bool) error {
	e := &ParseError{Tool: "Line unrecognized: `" + text + "'", Err: ErrUnknownKey}
	_, isInterface := lookUp(interfaceSection, k)
	_, isPeer := lookUp(peerSection, k)
	switch {
	case strings.HasPrefix(text, "["):
		e.Detail, e.Hint = strconv.Quote(text)+" is no section", "the sections are [Interface] and [Peer]"
	case !hasValue:
		e.Detail = "no = in the line: want KEY = VALUE"
	case isInterface && p.section != interfaceSection:
		e.Detail, e.Hint = strconv.Quote(k)+" is not allowed here", "it belongs under [Interface]"
	case isPeer && p.section != peerSection:
		e.Detail, e.Hint = strconv.Quote(k)+" is not allowed here", "it belongs under [Peer]"
	case (isInterface || isPeer) && v == "":
		e.Detail, e.Hint = strconv.Quote(k)+" has no value", "leave the line out"
	case isQuickKey(k):
		e.Detail, e.Hint = strconv.Quote(k)+" is a key of wg-quick", "`wg-quick strip` removes the lines that are not for wg"
	case len(k) > longestKey:
		e.Detail = tooLong(k)
	case p.section == noSection:
		e.Detail, e.Hint = strconv.Quote(k)+" is in no section", "begin with [Interface] or [Peer]"
	default:
		e.Detail = strconv.Quote(k) + " is not known"
	}
	return e
}

// longestKey is the length of PersistentKeepalive.
const longestKey = 19

// tooLong explains what stands before the = and is longer than any key. It is
// not repeated: where the = behind a key was forgotten, the last character of
// a secret in base64 is taken for it.
func tooLong(k string) string {
	for _, section := range [...]section{interfaceSection, peerSection} {
		for _, name := range keysOf[section] {
			if len(k) > len(name) && strings.EqualFold(k[:len(name)], name) {
				return "no = behind " + name + ": want KEY = VALUE"
			}
		}
	}
	return "the line begins with no key: want KEY = VALUE"
}

// named adds the key to a *ParseError.
func named(name string, err error) error {
	var e *ParseError
	if errors.As(err, &e) && e.Key == "" {
		e.Key = name
	}
	return err
}

// mistake adds the place of the present line to an error.
func (p *parser) mistake(text string, err error) error {
	var e *ParseError
	if !errors.As(err, &e) {
		// From a function in Options: its text is what is said of it.
		e = &ParseError{Detail: err.Error(), Tool: err.Error(), Err: err}
		k, _, _ := strings.Cut(text, "=")
		e.Key, _ = lookUp(p.section, k)
	}
	e.File, e.Line, e.Column = p.file, p.line, p.column(e)
	return e
}

// column returns where the value begins, or the line if that is the mistake.
func (p *parser) column(e *ParseError) int {
	from := 0
	if !errors.Is(e.Err, ErrUnknownKey) {
		from = strings.IndexByte(p.raw, '=') + 1
	}
	for from < len(p.raw) && isSpace(p.raw[from]) {
		from++
	}
	return from + 1
}
