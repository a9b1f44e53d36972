package conf

import (
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/warrenvpn/warren/internal/slab"
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
	// Peer takes each section of a peer when it is complete, in place of
	// Config.Peers, where files are huge: PeerList.Append. It is valid for the
	// call. What it took means nothing if Parse returns an error.
	Peer func(*PeerChange)
}

// Parse reads wg(8) configuration text. name is the file's, for messages.
func Parse(r io.Reader, name string, o Options) (*Config, error) {
	p := parser{file: name, options: o, config: &Config{}}
	in := lineReader{r: r}
	for n := 1; ; n++ {
		line, err := in.next()
		if errors.Is(err, io.EOF) {
			return p.finish()
		}
		if err != nil {
			return nil, err
		}
		if err := p.parseLine(n, line); err != nil {
			return nil, err
		}
	}
}

// parser reads lines one after the other.
type parser struct {
	file     string
	options  Options
	config   *Config
	section  section
	began    int  // the line of the present peer section
	named    bool // it has a public key
	nameless int  // the line of the first one that had none; 0: none
	line     int  // the present one
	raw      string

	// Memory of all peers together, as single pieces would be millions.
	lists     slab.Slab[AllowedIP]
	endpoints slab.Slab[Endpoint]
	// Memory of the present peer, if peers are passed on.
	list []AllowedIP
	one  Endpoint
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
	k, v, isPair := strings.Cut(text, "=")
	k, v = RemoveSpace(k), RemoveSpace(v)
	switch {
	case isPair:
	case k == "":
		return nil
	case equalFold(k, "[Interface]"):
		p.endPeer()
		p.section = interfaceSection
		return nil
	case equalFold(k, "[Peer]"):
		p.endPeer()
		p.section = peerSection
		p.beginPeer()
		return nil
	}
	if err := p.assign(k, v, isPair); err != nil {
		return p.mistake(k, err)
	}
	return nil
}

// beginPeer adds a peer for the lines that follow.
func (p *parser) beginPeer() {
	c := p.config
	if n := len(c.Peers); n == cap(c.Peers) {
		// Doubled, also where append would add a quarter: fewer copies of what is
		// large, and memory that is not used yet is none.
		c.Peers = slices.Grow(c.Peers, max(n, 1))
	}
	c.Peers = append(c.Peers, PeerChange{ReplaceAllowedIPs: true})
	p.began, p.named = p.line, false
}

// peer returns the peer of the present section.
func (p *parser) peer() *PeerChange { return &p.config.Peers[len(p.config.Peers)-1] }

// endPeer ends the section of a peer, if that is what the present one is.
func (p *parser) endPeer() {
	if p.section != peerSection {
		return
	}
	if !p.named && p.nameless == 0 {
		p.nameless = p.began
	}
	c := p.peer()
	if p.options.Peer != nil {
		p.options.Peer(c)
		p.list, p.config.Peers = c.AllowedIPs[:0], p.config.Peers[:0]
	} else if len(c.AllowedIPs) > 0 {
		c.AllowedIPs = p.lists.Keep(c.AllowedIPs)
	}
}

// assign handles key=value.
func (p *parser) assign(k, v string, isPair bool) error {
	name, known := lookUp(p.section, k)
	if !isPair || !known || v == "" && name != "AllowedIPs" {
		return p.unrecognized(k, v, isPair)
	}
	if p.section == interfaceSection {
		return named(name, p.interfaceKey(name, v))
	}
	return named(name, p.peerKey(p.peer(), name, v))
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
		return strings.Clone(v), nil
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
		p.named = p.named || err == nil
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
		c.Endpoint = p.newEndpoint()
		return p.endpoint(c.Endpoint, v)
	default: // AllowedIPs
		if len(c.AllowedIPs) == 0 {
			c.AllowedIPs = p.newList()
		}
		a := AllowedIPs{List: c.AllowedIPs}
		err := a.parse(v)
		p.warn(a.Warnings)
		c.AllowedIPs, c.ReplaceAllowedIPs = a.List, !a.Incremental
		return err
	}
}

// newEndpoint and newList return memory for a peer: their own for those that
// stay, always the same for those that are passed on.
func (p *parser) newEndpoint() *Endpoint {
	if p.options.Peer != nil {
		return &p.one
	}
	return p.endpoints.One()
}

func (p *parser) newList() []AllowedIP {
	if p.options.Peer != nil {
		return p.list
	}
	return p.lists.Begin()
}

func (p *parser) endpoint(to *Endpoint, v string) error {
	given, err := ParseEndpoint(v)
	if err != nil {
		return err
	}
	*to = given
	if p.options.Endpoint != nil {
		if *to, err = p.options.Endpoint(v, given); err != nil {
			return err
		}
	}
	if *to == given && p.options.Peer == nil { // parts of a block of lines, which is not to stay
		s := given.Host + given.Port
		*to = Endpoint{Host: s[:len(given.Host)], Port: s[len(given.Host):]}
	}
	return nil
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
	p.endPeer()
	if p.nameless != 0 {
		return nil, &ParseError{
			File: p.file, Line: p.nameless, Column: 1, Key: "PublicKey",
			Detail: "this peer has no public key", Hint: "every [Peer] needs a line PublicKey = ...",
			Tool: "A peer is missing a public key", Err: ErrNoPublicKey,
		}
	}
	return p.config, nil
}

// unrecognized explains a line that means nothing.
func (p *parser) unrecognized(k, v string, hasValue bool) error {
	text := k
	if hasValue {
		text += "=" + v
	}
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
	if err == nil {
		return nil
	}
	var e *ParseError
	if errors.As(err, &e) && e.Key == "" {
		e.Key = name
	}
	return err
}

// mistake adds the place of the present line to an error.
func (p *parser) mistake(k string, err error) error {
	var e *ParseError
	if !errors.As(err, &e) {
		// From a function in Options: its text is what is said of it.
		e = &ParseError{Detail: err.Error(), Tool: err.Error(), Err: err}
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
