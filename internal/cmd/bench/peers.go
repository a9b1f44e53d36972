package bench

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"github.com/warrenvpn/warren/internal/netlab"
	"github.com/warrenvpn/warren/key"
)

// settle is how long a daemon is left alone before its idleness is measured.
const settle = 2 * time.Second

// The fields of /proc/PID/status in use, proc_pid_status(5).
const (
	residentNow  = "VmRSS"
	residentPeak = "VmHWM"
)

// crowd measures what peers cost that say nothing: one daemon on a host of its
// own, and a file of peers. The reference gets fewer, since it takes longer.
func crowd(ctx context.Context, s *suite) error {
	for who, peers := range map[string]int{ours: s.crowd, reference: s.fewer} {
		c := s.find(who)
		if c == nil {
			continue
		}
		err := s.populate(ctx, c, peers, func(p *population) error {
			s.add(rowPeer, who, (p.after-p.before)/float64(peers))
			if err := sleep(ctx, settle); err != nil {
				return err
			}
			used, err := p.processorShare(ctx, 2*s.duration+time.Second)
			s.add(rowIdle, who, used)
			return err
		})
		if err != nil {
			s.fail(who, rowPeer, err)
		}
	}
	return nil
}

// multitude measures how very many peers are configured.
func multitude(ctx context.Context, s *suite) error {
	return s.populate(ctx, s.find(ours), s.multitude, func(p *population) error {
		s.add(rowMillion, ours, p.took.Seconds())
		s.add(rowMillionPeak, ours, p.peak)
		s.add(rowMillionRest, ours, p.after)
		s.add(rowMillionTool, ours, p.tool)
		return nil
	})
}

// population is a daemon with many peers, and what they cost: sizes in bytes.
type population struct {
	host          *netlab.Host
	before, after float64 // resident
	peak, tool    float64 // of the daemon, and of what reads the file
	took          time.Duration
}

// populate starts a daemon, gives it peers from a file by `wg setconf`, and
// calls look while it runs.
func (s *suite) populate(ctx context.Context, c *contestant, peers int, look func(*population) error) error {
	s.step(fmt.Sprintf("%s: %s peers", c.title, thousands(peers)))
	lab, err := netlab.New(netlab.Options{Name: "bench"})
	if err != nil {
		return err
	}
	defer lab.Close()
	n, err := newNode(lab, 0)
	if err != nil {
		return err
	}
	if err := c.alone(ctx, n); err != nil {
		return err
	}
	file, err := namelessFile()
	if err != nil {
		return err
	}
	defer file.Close()
	if err := writePeers(file, n.key, peers); err != nil {
		return err
	}
	p := &population{host: n.Host}
	if p.before, err = memoryOf(n.Host, residentNow); err != nil {
		return err
	}
	cmd := n.Command(ctx, s.self, "wg", "setconf", link, "/proc/self/fd/3")
	cmd.ExtraFiles = []*os.File{file} // as descriptor 3
	start := time.Now()
	if _, err := n.Output(cmd); err != nil {
		return err
	}
	p.took, p.tool = time.Since(start), peakOf(cmd.ProcessState)
	if p.after, err = memoryOf(n.Host, residentNow); err != nil {
		return err
	}
	if p.peak, err = memoryOf(n.Host, residentPeak); err != nil {
		return err
	}
	return look(p)
}

// processorShare returns the part of a core that the daemon uses.
func (p *population) processorShare(ctx context.Context, over time.Duration) (float64, error) {
	before, err := processorTime(p.host)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	if err := sleep(ctx, over); err != nil {
		return 0, err
	}
	after, err := processorTime(p.host)
	return (after - before) / time.Since(start).Seconds(), err
}

// writePeers writes the configuration of an interface with peers that have two
// allowed IPs and an endpoint each.
func writePeers(f io.Writer, private key.Private, peers int) error {
	w := bufio.NewWriterSize(f, 1<<20)
	fmt.Fprintf(w, "[Interface]\nPrivateKey = %s\nListenPort = %d\n", private.Reveal(), port)
	list(w, peers)
	return w.Flush()
}

// list writes peers that are the same at every run.
func list(w io.Writer, peers int) {
	random := rand.NewChaCha8([32]byte{'p', 'e', 'e', 'r', 's'})
	var public [32]byte // any 32 bytes are a public key
	for i := range peers {
		_, _ = random.Read(public[:])
		fmt.Fprintf(w, "[Peer]\nPublicKey = %s\nAllowedIPs = 10.%d.%d.%d/32, fd00::%x:%x/128\nEndpoint = 192.0.2.%d:%d\n",
			base64.StdEncoding.EncodeToString(public[:]), i>>16&0xff, i>>8&0xff, i&0xff, i>>16, i&0xffff,
			1+i%254, 1024+i%60000)
	}
}
