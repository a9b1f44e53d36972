// Package tunnel is `warren up` and `warren down`: one tunnel from one file in
// the format of wg-quick(8), with the same result and better words.
//
// It finds and reads the file, lets internal/quick plan, and puts together who
// carries the plan out: internal/hostnet the network, package wgctl the device,
// and this package programs: the one that makes the interface (this binary, as
// `warren device NAME`, unless WG_QUICK_USERSPACE_IMPLEMENTATION names another)
// and bash for hooks. Nothing else is executed.
//
// It is not the drop-in wg-quick, whose words and exit codes scripts know.
package tunnel
