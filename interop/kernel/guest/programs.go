package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/warrenvpn/warren/interop/kernel/traffic"
)

// programs are what tests need in here, by name.
var programs = map[string]struct {
	usage string
	args  int
	run   func(args []string) error
}{
	"echo":    {"ADDRESS COUNT PATIENCE", 3, echo},
	"steady":  {"ADDRESS GAP HOWLONG", 3, steady},
	"receive": {"ADDRESS:PORT", 1, receive},
	"send":    {"ADDRESS:PORT BYTES SEED", 3, send},
}

// program runs one of the small programs and returns its exit status.
func program(argv []string) int {
	if len(argv) == 0 {
		argv = []string{""}
	}
	p, ok := programs[argv[0]]
	if !ok || len(argv) != p.args+1 {
		fmt.Fprintf(os.Stderr, "guest: there is no program %q, or these are not its arguments\n", argv)
		return 2
	}
	if err := p.run(argv[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		return 1
	}
	return 0
}

func echo(args []string) error {
	to, err := netip.ParseAddr(args[0])
	if err != nil {
		return err
	}
	count, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	patience, err := time.ParseDuration(args[2])
	if err != nil {
		return err
	}
	return traffic.Flood(to, count, patience)
}

func steady(args []string) error {
	to, err := netip.ParseAddr(args[0])
	if err != nil {
		return err
	}
	gap, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	howLong, err := time.ParseDuration(args[2])
	if err != nil {
		return err
	}
	sent, lost, slowest, err := traffic.Steady(to, gap, howLong)
	fmt.Println(sent, lost, int64(slowest))
	return err
}

func receive(args []string) error {
	l, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	defer l.Close()
	n, sum, err := traffic.ReceiveStream(l)
	fmt.Println(n, sum)
	return err
}

func send(args []string) error {
	bytes, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil {
		return err
	}
	seed, err := strconv.ParseUint(args[2], 10, 8)
	if err != nil {
		return err
	}
	c, err := net.DialTimeout("tcp", args[0], 30*time.Second)
	if err != nil {
		return err
	}
	sum, err := traffic.SendStream(c, bytes, byte(seed))
	fmt.Println(bytes, sum)
	return err
}
