// Package wgctl lists, reads and changes WireGuard interfaces by name, whoever
// implements them: a user-space device with a control socket, or the Linux
// kernel. Of two with one name the first counts. It resolves the names of
// endpoints, which package conf does not.
//
// It is not a configuration parser (package conf) and does not create
// interfaces.
//
//	var c wgctl.Client
//	d, err := c.Device("wg0")
//
// A Client has no state of its own: its methods may be called from several
// goroutines, and every call opens a connection and closes it.
package wgctl
