// Package hostnet gathers the facts about this host that a tunnel's plan
// depends on, and carries plans out: links, addresses and routes, per operating
// system.
//
// It decides nothing: what is to be done is planned by internal/quick. It does
// not speak WireGuard and starts no programs, but for those of iptables where
// there is no other way to its rules: such steps belong to the caller, who puts
// the parts together as a Performer.
//
//	run := hostnet.Run{Config: c, Host: performer, Announce: print}
//	err := run.Up(ctx) // all of it, or nothing
//
// A Run is used by one goroutine. Only Linux is here yet; on other systems New
// returns errors.ErrUnsupported with the name of the system.
package hostnet
