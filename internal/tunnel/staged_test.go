package tunnel

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/warrenvpn/warren/internal/wire"
)

func texts(pkts []StagedPacket) (s []string) {
	for _, p := range pkts {
		s = append(s, string(p.Packet))
	}
	return s
}

// P35: at most 128 packets, the oldest go first, the rest is sent in order.
func TestStagedKeepsTheNewest(t *testing.T) {
	var q Staged
	var current atomic.Pointer[Session]
	if q.ring != nil {
		t.Error("memory before the first packet")
	}
	var want []string
	for i := range 300 {
		text := fmt.Sprint(i)
		staged, dropped := q.Push([]byte(text), byte(i), &current)
		if lost := i >= wire.MaxStaged; !staged || dropped != map[bool]int{true: 1}[lost] {
			t.Fatalf("packet %d: staged %v, dropped %d", i, staged, dropped)
		}
		if i >= 300-wire.MaxStaged {
			want = append(want, text)
		}
	}
	if q.Len() != wire.MaxStaged {
		t.Errorf("%d packets, want %d", q.Len(), wire.MaxStaged)
	}
	s, _ := sessionPair()
	var got []StagedPacket
	n := q.Publish(s, &current, func(p []StagedPacket) { got = append(got, p...) })
	if n != wire.MaxStaged || !slices.Equal(texts(got), want) || got[0].TOS != byte(300-wire.MaxStaged) {
		t.Errorf("sent %v, want %v", texts(got), want)
	}
	if current.Load() != s || q.Len() != 0 || q.ring != nil {
		t.Error("not published, or memory kept")
	}
}

func TestStagedCopiesPackets(t *testing.T) {
	var q Staged
	var current atomic.Pointer[Session]
	pkt := []byte("before")
	q.Push(pkt, 0, &current)
	copy(pkt, "after!")
	s, _ := sessionPair()
	q.Publish(s, &current, func(p []StagedPacket) {
		if string(p[0].Packet) != "before" {
			t.Errorf("staged %q, want the packet as it was", p[0].Packet)
		}
	})
}

func TestStagedRefusesWhileThereIsASession(t *testing.T) {
	var q Staged
	var current atomic.Pointer[Session]
	s, _ := sessionPair()
	if n := q.Publish(s, &current, nil); n != 0 {
		t.Errorf("an empty queue sent %d", n)
	}
	if staged, _ := q.Push([]byte("x"), 0, &current); staged {
		t.Error("staged beside a session")
	}
	s.dead.Store(true)
	if staged, _ := q.Push([]byte("x"), 0, &current); !staged {
		t.Error("not staged though the session cannot be sent with")
	}
	q.Unpublish(&current)
	if staged, _ := q.Push([]byte("y"), 0, &current); !staged || current.Load() != nil {
		t.Error("not staged without a session")
	}
	if q.Drop() != 2 || q.Len() != 0 || q.ring != nil {
		t.Error("Drop left something")
	}
}

// Joint 2: packets that come while control sends the staged ones go before the
// session is published.
func TestStagedPublishGoesBackForMore(t *testing.T) {
	var q Staged
	var current atomic.Pointer[Session]
	q.Push([]byte("1"), 0, &current)
	s, _ := sessionPair()
	var got []string
	q.Publish(s, &current, func(p []StagedPacket) {
		got = append(got, texts(p)...)
		if current.Load() != nil {
			t.Error("published before the queue was empty")
		}
		if len(got) < 3 {
			q.Push(fmt.Append(nil, len(got)+1), 0, &current)
		}
	})
	if want := []string{"1", "2", "3"}; !slices.Equal(got, want) {
		t.Errorf("sent %v, want %v", got, want)
	}
}

// Lanes that never stop pushing cannot keep Publish for ever.
func TestStagedPublishEnds(t *testing.T) {
	var q Staged
	var current atomic.Pointer[Session]
	q.Push([]byte("0"), 0, &current)
	s, _ := sessionPair()
	pushed, sent, dropped := 1, 0, 0
	q.Publish(s, &current, func(p []StagedPacket) {
		sent += len(p)
		if pushed > 1000 {
			t.Fatal("does not end")
		}
		for range 10 {
			staged, lost := q.Push([]byte("x"), 0, &current)
			if !staged {
				t.Error("not staged before the session was published")
			}
			pushed++
			dropped += lost
		}
	})
	if current.Load() != s || sent+dropped != pushed || dropped != 10 {
		t.Errorf("pushed %d, sent %d, dropped %d; want the last ten dropped and the rest sent", pushed, sent, dropped)
	}
	if staged, _ := q.Push([]byte("x"), 0, &current); staged {
		t.Error("still closing after Publish")
	}
}

// Joint 2 with real goroutines: while sessions come and go, no packet of a lane is
// stranded, none overtakes another, and what is missing was counted as dropped.
func TestStagedUnderRace(t *testing.T) {
	const lanes, each = 3, 20000
	var q Staged
	var current atomic.Pointer[Session]
	var mu sync.Mutex // the wire
	var log [lanes][]int
	record := func(lane, i int) {
		mu.Lock()
		log[lane] = append(log[lane], i)
		mu.Unlock()
	}
	flush := func(p []StagedPacket) {
		for _, s := range p {
			var lane, i int
			fmt.Sscan(string(s.Packet), &lane, &i)
			record(lane, i)
		}
	}
	var dropped atomic.Int64
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(lanes)
	for lane := range lanes {
		wg.Go(func() {
			defer left.Add(-1)
			for i := range each {
				for {
					if s := current.Load(); s != nil {
						if _, ok, _ := s.Reserve(epoch, 1); ok {
							record(lane, i)
							break
						}
					}
					if staged, lost := q.Push(fmt.Append(nil, lane, " ", i), 0, &current); staged {
						dropped.Add(int64(lost))
						break
					}
				}
			}
		})
	}
	for left.Load() > 0 {
		s, _ := sessionPair()
		q.Publish(s, &current, flush)
		s.dead.Store(true) // lanes find out by themselves
		if left.Load()%2 == 0 {
			q.Unpublish(&current)
		}
	}
	wg.Wait()
	s, _ := sessionPair()
	q.Publish(s, &current, flush)

	total := int(dropped.Load())
	for lane := range lanes {
		total += len(log[lane])
		for k := 1; k < len(log[lane]); k++ {
			if log[lane][k] <= log[lane][k-1] {
				t.Fatalf("lane %d: packet %d left after %d", lane, log[lane][k], log[lane][k-1])
			}
		}
	}
	if total != lanes*each {
		t.Errorf("%d packets sent or dropped, want %d: some were stranded", total, lanes*each)
	}
}
