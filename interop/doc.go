// Package interop holds the tests against other implementations of WireGuard. It
// is a module of its own, so that they never reach a normal build.
//
//	matrix_test.go      this device and wireguard-go in one process
//	namespaces_test.go  both as daemons in network namespaces, TCP and hashes
//	tools_test.go       the distribution's wg and wg-quick driving this daemon
//	kernel              the kernels of Debian, in QEMU
//	boringtun_test.go   BoringTun, an implementation that shares no code with either
//
// The folder diff compares wg and wg-quick with upstream's.
//
// Whatever needs root has the build tag e2e. Which versions were compared with
// is printed by every run with -v; wireguard-go's is that of go.mod.
package interop
