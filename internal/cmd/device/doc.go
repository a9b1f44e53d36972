// Package device is the command `warren device`, which runs one WireGuard
// interface as a user-space daemon, and the same program under the name
// wireguard-go: same arguments, environment, descriptors and life cycle.
//
// The starting process creates the interface and the control socket, then
// starts itself again in the background with both as open descriptors. It ends
// only when that child says, by one byte on a pipe, that the device runs and
// watches its link. So whatever the caller does next works: configure the
// interface, set it up, or move it to another network namespace.
//
// Descriptors of the child, told to it in the environment:
//
//	3   first queue of the TUN      WG_TUN_FD=3
//	4   listening control socket    WG_UAPI_FD=4
//	5   where to say it is ready    WARREN_READY_FD=5
//	6.. further queues of the TUN   WARREN_TUN_QUEUE_FDS=6,7
//
// The package wires packages tun, udp, device and uapi together and holds no
// logic of any of them.
package device
