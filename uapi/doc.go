// Package uapi is the configuration protocol of user-space WireGuard devices:
// text over a unix stream socket, spoken between a device and wg(8) or any
// other client. It holds the codec of both directions, the server and the
// listener. It is not a client of interfaces by name; that is package wgctl.
//
// A request is an operation line, lines of key=value, and an empty line. A
// reply is lines, errno=N, and an empty line:
//
//	set=1                      get=1
//	listen_port=51820          (empty line)
//	(empty line)
//	                           listen_port=51820
//	errno=0                    errno=0
//	(empty line)               (empty line)
//
// A set is read and checked whole before anything of it is applied, and applied
// through one call of Backend.Apply, so that it happens whole or not at all. A
// request that ends before its empty line is dropped. After a mistake the rest
// of the request is read and thrown away, and the connection goes on.
//
// Ownership. Serve has one goroutine per connection and one for Accept, and
// returns when all have ended. A connection's buffers belong to its goroutine.
// The Backend must be safe for concurrent use. The Listener watches its socket
// file with a goroutine that ends with Close.
package uapi
