// Package tunnel is the protocol state of one WireGuard peer: handshakes, the
// three sessions, timers, and the packets that wait. [W] sections 5.4 and 6
//
// There are three kinds of things, by who may touch them:
//
//   - A [Peer] is a pure state machine for control, which is rare and ordered.
//     It performs no I/O, reads no clock, starts no goroutine, takes no lock.
//     One goroutine owns all peers of a device.
//   - A [Session] seals and opens transport messages. Lanes, any number of them,
//     use it at the same time without asking anybody.
//   - [Activity] and [Staged] lie between the two: what lanes tell the machine, and
//     what lanes leave behind while there is no session.
//
// What the package is not: it has no socket, no table of indices, no allowed IPs
// and no endpoint of a peer; it neither reads inner packets nor counts bytes;
// mac1, mac2 and the load of a device are checked before a message comes here.
//
// # The caller's contract
//
// The caller tells the machine what happened and when, performs the effects it
// appends, in order, and then arms its one timer:
//
//		fx = p.HandleResponse(now, msg, from, fx[:0])
//		for _, e := range fx {
//			perform(e)
//		}
//		arm(p.Deadline())
//
//	 1. Inputs of all peers that share an [Env] come from one goroutine. The effects
//	    of one input are performed before the next input of the same peer.
//	 2. now never goes back between inputs. If it does nonetheless, nothing breaks
//	    but punctuality. It counts the time a machine is suspended, so that keys
//	    do not outlive a night in a bag.
//	 3. After every input, and whenever a lane was told wake by Activity, the caller
//	    reads Deadline and calls HandleTimeout when it has passed. Early and needless
//	    calls are harmless.
//	 4. A handshake message is handed over when its mac1 is right (and, under load,
//	    its mac2 and rate), to the peer it names: an initiation by noise.Opened.Remote,
//	    a response or cookie reply by its receiver index.
//	 5. A signal from a lane (HandleWantSession, HandleRekeyDue, HandleConfirmed) may
//	    come late or twice, but must come: the machine checks whether it still
//	    applies, and nobody repeats it.
//	 6. What is received with a session goes this way: Session.Receivable, Open, Admit,
//	    endpoint, FirstReceipt, Activity, and only then the inner packet. On every
//	    path the machine itself notes handshake messages and SendKeepalive in
//	    Activity; lanes note the rest.
//	 7. Env.Static is changed by its owner, who then calls HandleStaticChanged of every
//	    peer, before any other input.
//
// The same inputs at the same times with the same randomness give the same
// effects.
//
// # Where the kernel is not followed
//
// Where the whitepaper leaves room, this is the Linux implementation ([K]), with
// these exceptions. None is visible to a peer but by its time.
//
//   - A request that is refused because a handshake message went out less than
//     RekeyTimeout ago is made again when that time is over, if there is still no
//     session; likewise a retry.
//   - When two initiations cross, the peer with the smaller public key lets the
//     other retry first, instead of leaving it to jitter alone.
//   - A want without private key is remembered until there is one.
//   - A keepalive that makes another one due is not cancelled by itself.
package tunnel
