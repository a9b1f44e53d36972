// Package cookie computes and checks the two MACs at the end of handshake
// messages, and the cookies behind the second one. [W] 5.3, 5.4.4, 5.4.7
//
// mac1 shows that the sender knows our public key; a message without it gets no
// answer and costs no Diffie-Hellman. mac2 shows that the sender receives what
// is sent to the address it claims; it is asked for only under load. Whether we
// are under load is for package device to say.
//
// A Checker is the receiving side, one per local identity. A Generator is the
// sending side, one per peer. Both read no clock and belong to one goroutine. They
// hold secrets: they print as "(redacted)", and Clear erases what they keep.
//
// Messages given to this package have passed wire.Classify as an initiation or a
// response.
package cookie
