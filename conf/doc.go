// Package conf is the one configuration model of WireGuard interfaces, the text
// forms of wg(8) and wg-quick(8), and the difference between two states.
//
// Device is the state of an interface and Change one change of it: package
// uapi encodes them, package wgctl carries them, package device applies them.
// Config is a file as it is written, with endpoints and ports that may still be
// names:
//
//	c, err := conf.Parse(file, "wg0.conf", conf.Options{})
//	change, err := c.Set(service)        // wg setconf
//	change := conf.Diff(have, c.Desired()) // the least that leads from one state to the other
//
// The package reads no file, resolves no name and touches no system. What a
// caller has to say about names, it says through functions in Options.
//
// A mistake in a file is a *ParseError: it knows the line and what would have
// been right, and also the exact words of wg(8), which scripts compare.
package conf
