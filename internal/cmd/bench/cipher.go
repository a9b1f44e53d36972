package bench

import (
	"context"
	"runtime"
	"time"

	"github.com/warrenvpn/warren/internal/aead"
	"github.com/warrenvpn/warren/internal/impl"
)

// A run of messages as a full segmented send has it at MTU 1420.
const (
	runMessages = 45
	runSize     = 1420
)

// cipherTime is how long one kernel is timed for one reading.
const cipherTime = 200 * time.Millisecond

// timeCipher times the kernel in use and the one that is x/crypto's, in turns,
// on one thread of this process.
func timeCipher(ctx context.Context, s *suite) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	kernels := map[string]string{library: library}
	for _, i := range impl.List() {
		if i.Job == "aead" && i.InUse {
			kernels[ours] = i.Name
		}
	}
	defer func() { _ = impl.Use("aead=" + kernels[ours]) }()
	order := []string{ours, library}
	for n := range s.runs {
		for k := range order {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			who := order[(n+k)%len(order)]
			if err := impl.Use("aead=" + kernels[who]); err != nil {
				return err
			}
			seal, open := cipherSpeed(cipherTime)
			s.add(rowSeal, who, seal)
			s.add(rowOpen, who, open)
		}
	}
	return nil
}

// cipherSpeed returns the bytes of text per second that are sealed, and opened.
func cipherSpeed(length time.Duration) (seal, open float64) {
	k := aead.New(new([32]byte))
	text := make([]byte, runMessages*(runSize+aead.Overhead))
	var r aead.Run
	fill := func() {
		r.Reset()
		for i := range runMessages {
			r.Add(text[i*(runSize+aead.Overhead):][:runSize+aead.Overhead], uint64(i))
		}
	}
	fill()
	k.SealRun(&r)
	sealed := append([]byte(nil), text...)
	var sealing, opening time.Duration
	bytes := 0.
	for opening < length {
		fill()
		start := time.Now()
		k.SealRun(&r)
		sealing += time.Since(start)
		copy(text, sealed) // only what is authentic is decrypted
		start = time.Now()
		k.OpenRun(&r)
		opening += time.Since(start)
		bytes += runMessages * runSize
	}
	return bytes / sealing.Seconds(), bytes / opening.Seconds()
}
