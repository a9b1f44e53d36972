// Package clock reads time. It is the only package of the module that does.
//
// Instants are mono.Time: nanoseconds of a clock that counts the time the
// machine spends suspended, as the ages of keys must ([K] uses the boot-time
// clock; Go's own monotonic clock and timers stop in suspend). On Linux an
// instant is a CLOCK_BOOTTIME reading: the monotonic clock, which costs no
// system call, plus an offset that is corrected when the machine resumes.
//
// Clock.Now is for lanes: it does not allocate, lock or enter the kernel.
// A Timer is for the one control loop: it sleeps on a boot-time timer, and
// fires once more when the machine has resumed. Wall time has two users, the
// stamps of handshakes and what is shown to people.
//
// There are three clocks: System, the real one; Portable, the same over package
// time alone, which other systems than Linux get as System and which follows
// the virtual time of a testing/synctest bubble; and Fake, which a test sets.
//
// The package does not schedule anything: deadlines are kept by their owner,
// which needs one Timer.
package clock
