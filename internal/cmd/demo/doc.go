// Package demo is `warren demo`: the five-host network of examples/full on one
// machine, brought up from its files and measured.
//
// The hosts live in namespaces made by internal/netlab, behind NATs where they
// are at home, around a router that plays the internet. Each is brought up as a
// user would do it, by this program as `warren up ./wg0.conf`, so the demo
// shows nothing that the files and the tunnel do not do by themselves.
//
// Everything in the tables is observed: whether a pair is direct is learnt by
// an echo request that may make one hop only (the host that answers "time
// exceeded" is the relay), never from the configuration.
//
// It is not a benchmark: all hosts share the processors of one machine.
package demo
