// Package x25519 multiplies points of Curve25519 by secret scalars (RFC 7748),
// the four products of a handshake as one or two at a time.
//
// A product is a ladder of 255 steps in each of which one multiplication waits
// for the other, so a processor with wide vectors makes several products in
// hardly more time than one. What can be asked for together is asked for in one
// call.
//
// Nothing in the package depends in time, branches or addresses on scalars or
// on results, and what it wrote of them to memory of its own is overwritten.
// Package crypto/ecdh does the same work for one product and keeps a copy of
// the scalar that nobody can erase.
//
// The implementations are registered in package impl under the job "x25519".
package x25519
