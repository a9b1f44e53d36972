// Package device is a WireGuard device: it joins a TUN, UDP sockets and the
// protocol machines of its peers into a running tunnel.
//
// One control goroutine owns all mutable state: identity, peers, deadlines. It
// performs the effects the machines of package internal/tunnel ask for. The
// lanes, one goroutine per TUN queue outward and one per socket inward, carry
// data and see control's work only through three things: an immutable routing
// snapshot, one session pointer per peer, and the receiver index table. What a
// lane has to tell control it leaves as a bit in a word of the peer.
//
// The package opens no TUN and no socket; it takes them through the interfaces
// in ports.go. It parses no configuration text: Apply takes conf.Change, Status
// returns conf.Device.
//
//	d, err := device.New(device.Config{TUN: t, Network: n})
//	...
//	go d.Run(ctx)            // until ctx ends or the interface is deleted
//	err = d.Apply(change)    // all or nothing
//	fmt.Println(d.Status())
package device
