package wg

import (
	"errors"
	"io"
	"iter"
	"os"
	"strconv"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/key"
	"github.com/warrenvpn/warren/wgctl"
)

// set parses the whole command line before it changes anything.
func (t *tool) set(args []string) int {
	if len(args) < 2 {
		return t.usage("set")
	}
	s := setting{t: t, rest: args[1:]}
	if err := s.parse(); err != nil {
		return t.fail(err)
	}
	return t.apply(args[0], &s.change)
}

// apply makes a change and forgets its secrets.
func (t *tool) apply(name string, c *conf.Change) int {
	defer clearSecrets(c)
	if t.hints {
		t.adviseOnPrefixes(c.All())
	}
	if err := t.client.Apply(name, *c); err != nil {
		return t.failWith("Unable to modify interface", err)
	}
	return 0
}

// setting is a command line of `wg set` being read.
type setting struct {
	t      *tool
	rest   []string
	change conf.Change
}

// parse reads keywords until none is left. Each belongs to the interface before
// the first peer, and to the last peer after it.
func (s *setting) parse() error {
	for len(s.rest) > 0 {
		word := s.rest[0]
		var peer *conf.PeerChange
		if n := len(s.change.Peers); n > 0 {
			peer = &s.change.Peers[n-1]
		}
		if word == "remove" && peer != nil {
			peer.Remove = true
			s.rest = s.rest[1:]
			continue
		}
		set := s.keyword(word, peer)
		if set == nil || len(s.rest) < 2 {
			return &conf.ParseError{
				Detail: strconv.Quote(word) + " is no keyword here, or has no value",
				Hint:   "listen-port, fwmark and private-key come before the first peer, all else after it",
				Tool:   "Invalid argument: " + word,
			}
		}
		if err := set(s.rest[1]); err != nil {
			return err
		}
		s.rest = s.rest[2:]
	}
	return nil
}

// keyword returns what sets the value of a keyword, or nil if it is none here.
func (s *setting) keyword(word string, peer *conf.PeerChange) func(value string) error {
	if word == "peer" {
		return s.peer
	}
	if peer == nil {
		return map[string]func(string) error{
			"listen-port": s.listenPort,
			"fwmark":      s.fwMark,
			"private-key": s.privateKey,
		}[word]
	}
	return map[string]func(string) error{
		"endpoint":             func(v string) (err error) { peer.Endpoint, err = s.t.endpoint(v); return err },
		"allowed-ips":          func(v string) error { return s.t.allowedIPs(peer, v) },
		"preshared-key":        func(v string) (err error) { peer.PresharedKey, err = presharedKey(v); return err },
		"persistent-keepalive": func(v string) (err error) { peer.PersistentKeepalive, err = keepalive(v); return err },
	}[word]
}

func (s *setting) peer(v string) error {
	k, err := conf.ParsePublicKey(v)
	if err != nil {
		return err
	}
	s.change.Peers = append(s.change.Peers, conf.PeerChange{PublicKey: k})
	return nil
}

func (s *setting) listenPort(v string) error {
	if err := conf.CheckPort(v); err != nil {
		return err
	}
	n, err := s.t.names().ServicePort(v)
	s.change.ListenPort = &n
	return err
}

func (s *setting) fwMark(v string) error {
	m, err := conf.ParseFwMark(v)
	s.change.FwMark = &m
	return err
}

func (s *setting) privateKey(path string) error {
	content, err := readKeyFile(path)
	if err != nil {
		return err
	}
	defer clear(content)
	k, err := conf.ParsePrivateKeyFile(content)
	s.change.PrivateKey = &k
	return err
}

func presharedKey(path string) (*key.Preshared, error) {
	content, err := readKeyFile(path)
	if err != nil {
		return nil, err
	}
	defer clear(content)
	k, err := conf.ParsePresharedKeyFile(content)
	return &k, err
}

func keepalive(v string) (*uint16, error) {
	n, err := conf.ParseKeepalive(v)
	return &n, err
}

// allowedIPs adds a list to a peer. The last list decides whether they replace
// what it has.
func (t *tool) allowedIPs(peer *conf.PeerChange, v string) error {
	a, err := conf.ParseAllowedIPs(conf.RemoveSpace(v))
	for _, w := range a.Warnings {
		t.say(w)
	}
	peer.AllowedIPs = append(peer.AllowedIPs, a.List...)
	peer.ReplaceAllowedIPs = !a.Incremental
	return err
}

// endpoint parses and resolves an endpoint.
func (t *tool) endpoint(v string) (*conf.Endpoint, error) {
	e, err := conf.ParseEndpoint(v)
	if err != nil {
		return nil, err
	}
	e, err = t.resolve(v, e)
	return &e, err
}

func (t *tool) resolve(text string, e conf.Endpoint) (conf.Endpoint, error) {
	if t.names().Retries == badRetries {
		return e, &retriesError{t.getenv(retriesVariable)}
	}
	ap, err := t.names().ResolveAs(text, e)
	if err != nil {
		return e, err
	}
	return conf.NumericEndpoint(ap), nil
}

const (
	retriesVariable = "WG_ENDPOINT_RESOLUTION_RETRIES"
	badRetries      = wgctl.Forever - 1
)

// retriesError is a mistake in the environment. Nothing else is said then.
type retriesError struct{ value string }

func (e *retriesError) Error() string {
	return "Unable to parse " + retriesVariable + ": `" + e.value + "'"
}

// names returns the resolver, made when it is first needed: a mistake in the
// environment does not matter before.
func (t *tool) names() *wgctl.Resolver {
	if t.resolver == nil {
		t.resolver = &wgctl.Resolver{}
	}
	if t.resolver.Notify != nil {
		return t.resolver
	}
	t.resolver.Notify = t.say
	value, given := t.lookupEnv(retriesVariable)
	if given && value == "" {
		return t.resolver // no retries, says wg(8)
	}
	var err error
	if t.resolver.Retries, err = wgctl.ParseRetries(value); err != nil {
		t.resolver.Retries = badRetries
	}
	t.resolver.RetryUnknown = t.resolver.Retries == wgctl.Forever
	return t.resolver
}

// file is a configuration file: a million peers are a matter of course, so they
// are packed.
type file struct {
	conf.Config // without peers
	peers       conf.PeerList
}

// change is what is made of a file: peers are those of the change.
type change struct {
	conf.Change
	peers iter.Seq[*conf.PeerChange]
}

func (t *tool) setconf(args []string) int {
	return t.applyFile("setconf", args, func(f *file) (change, error) {
		ch, err := f.Set(nil)
		return change{ch, f.peers.All()}, err
	})
}

func (t *tool) addconf(args []string) int {
	return t.applyFile("addconf", args, func(f *file) (change, error) {
		if t.hints {
			t.adviseOnEmptyLists(f.peers.All())
		}
		ch, err := f.Add(nil)
		return change{ch, f.peers.All()}, err
	})
}

// errState is a state that cannot be read.
type errState struct{ err error }

func (e *errState) Error() string {
	return "Unable to retrieve current interface configuration: " + reason(e.err)
}

func (t *tool) syncconf(args []string) int {
	var have conf.Device
	defer func() { forget(&have) }()
	return t.applyFile("syncconf", args, func(f *file) (change, error) {
		ch, err := f.Set(nil)
		if err != nil || f.peers.Len() == 0 {
			return change{ch, f.peers.All()}, err
		}
		if have, err = t.client.Device(args[0]); err != nil {
			return change{}, &errState{err}
		}
		if t.hints {
			t.adviseOnMissing(&have, &f.Config)
		}
		if len(have.Peers) == 0 {
			return change{ch, f.peers.All()}, nil
		}
		ch.ReplacePeers = false
		return change{ch, conf.SyncPeers(&have, f.peers.All())}, nil
	})
}

// applyFile reads a whole file, then makes the change that plan returns.
func (t *tool) applyFile(name string, args []string, plan func(*file) (change, error)) int {
	if len(args) != 2 {
		return t.usage(name)
	}
	var f file
	defer f.clear()
	if ok, code := t.readConfig(args[1], &f); !ok {
		return code
	}
	c, err := plan(&f)
	if err != nil {
		return t.fail(err)
	}
	if t.hints {
		t.adviseOnPrefixes(c.peers)
	}
	if err := t.client.ApplyOf(args[0], c.Change, c.peers); err != nil {
		return t.failWith("Unable to modify interface", err)
	}
	return 0
}

// clear overwrites the secrets of a file that was sent.
func (f *file) clear() {
	if f.PrivateKey != nil {
		f.PrivateKey.Clear()
	}
	f.peers.Clear()
}

// readConfig reads a file. ok is false if that failed, or if it is no file.
func (t *tool) readConfig(path string, to *file) (ok bool, code int) {
	f, err := os.Open(path)
	if err != nil {
		return false, t.fail(&openError{err})
	}
	defer f.Close()
	err = t.parseConfig(f, path, to)
	var mistake *conf.ParseError
	var environment *retriesError
	switch {
	case err == nil:
		return true, 0
	case errors.As(err, &environment):
		t.say(environment.Error())
	case errors.Is(err, conf.ErrNoPublicKey):
		t.fail(err)
		t.say("Invalid configuration")
	case errors.As(err, &mistake):
		t.fail(err)
		t.say("Configuration parsing error")
	default:
		// Above all a directory, which wg(8) takes for an empty file.
		return false, t.failWith("fopen", err)
	}
	return false, 1
}

func (t *tool) parseConfig(r io.Reader, path string, to *file) error {
	c, err := conf.Parse(r, path, conf.Options{
		Warn:     func(w conf.Warning) { t.say(w.Text) },
		Endpoint: t.resolve,
		Service:  t.names().ServicePort,
		Peer:     to.peers.Append,
	})
	if err != nil {
		return err
	}
	to.Config = *c
	return nil
}

// clearSecrets overwrites the keys of a change that was sent.
func clearSecrets(c *conf.Change) {
	if c.PrivateKey != nil {
		c.PrivateKey.Clear()
	}
	for i := range c.Peers {
		if psk := c.Peers[i].PresharedKey; psk != nil {
			psk.Clear()
		}
	}
}
