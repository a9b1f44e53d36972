// Package netnstest tests the real program on real sockets and TUN interfaces,
// in hosts made of network namespaces (package internal/netlab). It holds tests
// alone; they need root and the tag e2e:
//
//	make e2e
//	go test -tags=e2e ./internal/netnstest -run TestK10
//
// The binary is built once and started as users start it: `warren device NAME`.
// It is configured with the distribution's wg(8), or through its control socket
// where that tool cannot say what is meant. Names of tests carry the ids of the
// scenarios they retell: K1 to K44 are those of the Linux kernel's own suite,
// told for a device in user space whose interface is a TUN. What differs by
// nature is said at the test: interface counters are plaintext (K1), the
// padding is limited by the MTU of the interface and not by that of the route
// (K9), and an ICMP error bears the original destination as its source (K23).
//
// It is not the place for tests of a single package, of other implementations
// (interop), or of speed.
//
// Ownership: each test has a laboratory of its own, which ends with it and takes
// all its processes along.
package netnstest
