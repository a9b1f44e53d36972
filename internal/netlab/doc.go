// Package netlab builds a small internet on one Linux machine: hosts, routers
// and NATs, each in namespaces of its own, joined by virtual cables.
//
//	lab, err := netlab.New(netlab.Options{Name: "example"})
//	defer lab.Close()
//	left, _ := lab.Host("left")
//	right, _ := lab.Host("right")
//	lab.Cable(netlab.Port{Host: left, Name: "eth0", Addresses: a}, netlab.Port{Host: right, Name: "eth0", Addresses: b})
//	out, err := left.Run(ctx, "ping", "-c1", "203.0.113.2")
//
// Everything is made by system calls and netlink; no ip, nft or mount program
// is needed. Nothing is made in the namespaces of the caller: a cable is
// created inside one host with its other end already in the other host, so no
// interface, address, route, rule or mount of the machine changes.
//
// What a host is. A host has its own network, mount, process-id and host-name
// namespaces. /run is an empty file system of its own, so that control sockets
// in /run/wireguard (which all network namespaces of a machine share
// otherwise) and the machine's own services are out of reach; /etc/hosts and
// /etc/resolv.conf are private too. The rest of the file system is the
// machine's.
//
// Who keeps it alive. The first process of a host, its init, is this same
// program started anew (see init.go). It holds the namespaces and waits on a
// pipe of the owner. When the owner closes the lab, returns, panics or is
// killed, the pipe ends, init exits, and the kernel kills every process of the
// host and frees the namespaces and everything in them. All that can be left
// is a directory with a state file under /run/warren-lab, which the next New
// removes. Keep lets go of the pipe: the lab then lives until Remove.
//
// What it is not: it does not delay, lose or reorder packets, and it is no
// security boundary. Root is required.
//
// Ownership: a Lab and its Hosts may be used by several goroutines, except that
// Close ends everything for all of them.
package netlab
