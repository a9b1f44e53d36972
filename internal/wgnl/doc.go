// Package wgnl is the language of the Linux kernel's own WireGuard: the generic
// netlink family "wireguard", and the two questions that come before it, which
// number the family has and which links are of its kind. What goes to the
// kernel and what comes from it are bytes here, each the payload of one netlink
// message; states and changes are those of package conf.
//
//	for m := range requests {        // wgnl.SetRequests: as many messages as it takes
//		send(m)                      // each acknowledged before the next
//	}
//	var d wgnl.Dump
//	err := d.Add(m)                  // for each message of a dump
//	state := d.Device()
//
// It opens no socket and knows no message headers, sequence numbers or errors
// of the kernel: that is the part of package wgctl. It does not resolve names,
// neither of hosts nor of links: endpoints and their zones are numbers.
//
// Attributes and their rules: compat 3.3, linux/wireguard.h, and [K] netlink.c.
package wgnl
