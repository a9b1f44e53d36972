package device

import "github.com/warrenvpn/warren/internal/mono"

// deadlines is a binary heap of peers by their next deadline. Each peer has at
// most one entry and knows its place. Owned by control.
type deadlines struct {
	heap []*peer
}

// next returns the earliest deadline, zero if there is none.
func (d *deadlines) next() mono.Time {
	if len(d.heap) == 0 {
		return 0
	}
	return d.heap[0].deadline
}

// due returns a peer whose deadline is not after now, or nil.
func (d *deadlines) due(now mono.Time) *peer {
	if len(d.heap) == 0 || d.heap[0].deadline > now {
		return nil
	}
	return d.heap[0]
}

// set moves p to deadline t; zero takes it out.
func (d *deadlines) set(p *peer, t mono.Time) {
	if p.deadline == t {
		return
	}
	was := p.deadline
	p.deadline = t
	switch {
	case t == 0:
		d.remove(p)
	case was == 0:
		p.place = int32(len(d.heap))
		d.heap = append(d.heap, p)
		d.up(int(p.place))
	case t < was:
		d.up(int(p.place))
	default:
		d.down(int(p.place))
	}
}

func (d *deadlines) remove(p *peer) {
	i, last := int(p.place), len(d.heap)-1
	d.swap(i, last)
	d.heap[last] = nil
	d.heap = d.heap[:last]
	if i < last {
		d.up(i)
		d.down(i)
	}
}

func (d *deadlines) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if d.heap[parent].deadline <= d.heap[i].deadline {
			return
		}
		d.swap(i, parent)
		i = parent
	}
}

func (d *deadlines) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(d.heap) {
			return
		}
		if r := child + 1; r < len(d.heap) && d.heap[r].deadline < d.heap[child].deadline {
			child = r
		}
		if d.heap[i].deadline <= d.heap[child].deadline {
			return
		}
		d.swap(i, child)
		i = child
	}
}

func (d *deadlines) swap(i, j int) {
	h := d.heap
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = int32(i), int32(j)
}
