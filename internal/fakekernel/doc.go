// Package fakekernel is a Linux kernel with WireGuard for tests: what answers
// behind a netlink socket. It knows the family "wireguard", the question for it
// and the list of links, and checks requests as a kernel does, which is what it
// is for: missing flags of nests, wrong lengths, unknown attributes and padding
// are refused. It was written from compat 3.3, linux/wireguard.h and the rules of
// attributes, and shares no code with package wgnl, which it tests.
//
//	k := fakekernel.New(fakekernel.Linux616)
//	k.AddWireGuard("wg0")
//	client := wgctl.Client{Dial: k.Dial}
//
// Its interfaces have no packets and no sockets. A real kernel is asked
// elsewhere, in a virtual machine.
package fakekernel
