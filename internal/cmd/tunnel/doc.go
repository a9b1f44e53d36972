// Package tunnel is `warren up`, `down`, `save` and `strip`, and what they share
// with the drop-in wg-quick: one tunnel from one file in the format of
// wg-quick(8).
//
// It finds and reads the file, lets internal/quick plan, and puts together who
// carries the plan out: internal/hostnet the network, internal/resolver the name
// servers, package wgctl the device, and this package programs: the one that
// makes an interface in user space (this binary, as `warren device NAME`, unless
// WG_QUICK_USERSPACE_IMPLEMENTATION names another) and bash, or else sh, for
// hooks. A resolvconf and, where the kernel has no nftables, iptables are run
// too where they are found.
//
// A Front is the manner: that of warren, with hints, or that of wg-quick, whose
// words and exit codes scripts know. Package internal/cmd/wgquick is the latter's
// command line.
package tunnel
