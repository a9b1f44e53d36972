package clock

import (
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/internal/mono"
)

func init() {
	best := suspended()
	for range 8 {
		best = max(best, suspended())
	}
	offset.Store(best)
}

// suspended returns what is to be added to the monotonic time since base to
// get the boot-time clock: a constant, except that it grows in suspend. It is
// short of that by the time between its two readings.
func suspended() int64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return 1 // no instant is zero
	}
	return ts.Nano() - int64(time.Since(base))
}

// least is the shortest suspend that counts: above the noise of reading two
// clocks one after the other.
const least = time.Millisecond

// refresh corrects offset and reports whether the machine was suspended since
// the last time.
func refresh() bool {
	was := offset.Load()
	is := suspended()
	return is-was >= int64(least) && offset.CompareAndSwap(was, is)
}

// bootTimer is a timer of the boot-time clock, which goes on in suspend.
type bootTimer struct {
	fd      int      // of expiry, used by the owner alone, who also closes it
	expiry  *os.File // CLOCK_BOOTTIME timer
	resume  *os.File // a timer that is cancelled when the machine resumes
	armed   atomic.Int64
	readers sync.WaitGroup
}

func newBootTimer(clock *Clock) *Timer {
	fd, expiry, err := timerfd(unix.CLOCK_BOOTTIME)
	if err != nil {
		return newPortableTimer(clock) // no descriptors left, or not allowed
	}
	c := make(chan struct{}, 1)
	t := &bootTimer{fd: fd, expiry: expiry}
	t.readers.Go(func() { t.awaitExpiry(c) })
	if fd, resume, err := timerfd(unix.CLOCK_REALTIME); err == nil {
		t.resume = resume
		t.readers.Go(func() { t.awaitResume(fd, c) })
	}
	return &Timer{c: c, impl: t}
}

func timerfd(clockid int) (int, *os.File, error) {
	fd, err := unix.TimerfdCreate(clockid, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return -1, nil, os.NewSyscallError("timerfd_create", err)
	}
	return fd, os.NewFile(uintptr(fd), "timerfd"), nil
}

// awaitExpiry signals c at every expiry, until the timer is stopped.
func (t *bootTimer) awaitExpiry(c chan struct{}) {
	var count [8]byte
	for {
		if _, err := t.expiry.Read(count[:]); err != nil {
			return
		}
		refresh()
		t.armed.Store(0)
		fire(c)
	}
}

// awaitResume signals c whenever the machine was suspended, until the timer is
// stopped. The kernel cancels a timer of the wall clock when that clock jumps,
// as it does on resume and when somebody sets it.
func (t *bootTimer) awaitResume(fd int, c chan struct{}) {
	var count [8]byte
	for {
		far := unix.ItimerSpec{Value: unix.NsecToTimespec(time.Now().AddDate(1, 0, 0).UnixNano())}
		err := unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &far, nil)
		if err != nil && err != unix.ECANCELED {
			return
		}
		_, err = t.resume.Read(count[:])
		if err != nil && !isCancelled(err) {
			return
		}
		if refresh() {
			fire(c)
		}
	}
}

func isCancelled(err error) bool {
	pe, ok := err.(*os.PathError)
	return ok && pe.Err == unix.ECANCELED
}

func (t *bootTimer) reset(at mono.Time) {
	if t.armed.Swap(int64(at)) == int64(at) {
		return // still set to this
	}
	var spec unix.ItimerSpec // zero: never
	if at != 0 {
		spec.Value = unix.NsecToTimespec(max(int64(at), 1))
	}
	// It cannot fail: the descriptor is a timer and the time is valid.
	_ = unix.TimerfdSettime(t.fd, unix.TFD_TIMER_ABSTIME, &spec, nil)
}

func (t *bootTimer) stop() {
	_ = t.expiry.Close()
	if t.resume != nil {
		_ = t.resume.Close()
	}
	t.readers.Wait()
}
