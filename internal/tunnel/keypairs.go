package tunnel

// The three sessions of a peer. [W] 6.3, [K] noise.c: struct noise_keypairs
//
//	next      we are the responder and the initiator has not used it yet: received
//	          with only
//	current   sent and received with
//	previous  what was current: received with, for messages that were under way
//
// Transitions, where x -> retired:
//
//	we initiated    current := new; previous := next if there was one, else current;
//	                the other two -> retired
//	we responded    next := new; old next, previous -> retired
//	next confirmed  previous := current; current := next; old previous -> retired
//
// A session leaves its slot only here, and its index is released with it.

// installInitiated puts the session of a handshake that we began.
func (p *Peer) installInitiated(s *Session, fx []Effect) []Effect {
	fx = p.retire(p.previous, fx)
	if p.next != nil {
		// A session nobody used yet outlives the one in use: the peer may already
		// be sending with it. [K] noise.c: add_new_keypair
		fx = p.retire(p.current, fx)
		p.next.awaits.Store(false)
		p.previous, p.next = p.next, nil
	} else {
		p.previous = p.current
	}
	p.current = s
	return append(fx, Effect{Kind: Admit, Session: s})
}

// installResponded puts the session of a handshake that the peer began.
func (p *Peer) installResponded(s *Session, fx []Effect) []Effect {
	fx = p.retire(p.next, fx)
	fx = p.retire(p.previous, fx)
	p.previous, p.next = nil, s
	s.awaits.Store(true)
	return append(fx, Effect{Kind: Admit, Session: s})
}

// promote makes next current.
func (p *Peer) promote(fx []Effect) []Effect {
	fx = p.retire(p.previous, fx)
	p.next.awaits.Store(false)
	p.previous, p.current, p.next = p.current, p.next, nil
	return fx
}

// eraseAll empties the three slots and the handshake.
func (p *Peer) eraseAll(fx []Effect) []Effect {
	p.dropPending()
	if p.current != nil {
		fx = append(fx, Effect{Kind: Uninstall})
	}
	fx = p.retire(p.previous, fx)
	fx = p.retire(p.current, fx)
	fx = p.retire(p.next, fx)
	p.previous, p.current, p.next = nil, nil, nil
	return fx
}

// retire ends s, if there is one: nothing is sent with it from this moment on.
func (p *Peer) retire(s *Session, fx []Effect) []Effect {
	if s == nil {
		return fx
	}
	s.dead.Store(true)
	p.env.Indices.Release(s.LocalIndex)
	return append(fx, Effect{Kind: Retire, Session: s})
}
