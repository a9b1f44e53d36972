// Package netpoll lets a goroutine wait for raw descriptors in the runtime's own
// poller. A blocking ppoll does the same, but the runtime has to notice that the
// thread blocks, hand its processor to another, and take one back afterwards:
// several times a thousand of these a second cost more than what is waited for.
//
// It is not a way to do I/O: the descriptors stay the caller's, who reads them
// until they would block, and waits with a function that tries again. On other
// systems than Linux it does not exist.
package netpoll
