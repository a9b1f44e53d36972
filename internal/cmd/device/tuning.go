package device

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/warrenvpn/warren/internal/impl"
	"github.com/warrenvpn/warren/tun"
	"github.com/warrenvpn/warren/udp"
)

// tuning is how the work of a device is done. The zero value chooses for this
// machine; the options are for finding out what a machine does best, and which
// part of a kernel or a driver is at fault.
type tuning struct {
	lanes     int // 0: chosen
	pipelined bool
	without   []string // features
	nice      *int     // nil: left as it is
}

var errPriority = errors.New("set priority")

// prioritise sets the priority of this process, if one was asked for. By itself
// a device has that of every other program: in front of those whose packets it
// carries it would keep them from making and taking any (decision 0014).
func (t *tuning) prioritise(alone bool) error {
	if t.nice == nil {
		return nil
	}
	return setPriority(*t.nice, alone)
}

// features are what --without can switch off.
var features = []string{"offload", "segment", "coalesce", "steer"}

// errList asks for the table of implementations.
var errList = errors.New("list")

// set takes one option of the command line.
func (t *tuning) set(option, value string) error {
	switch option {
	case "--cpu":
		if value == "list" {
			return errList
		}
		if err := impl.Use(value); err != nil {
			return usageError(fmt.Sprintf("--cpu %s: %v (`warren device --cpu list` shows what there is)", value, err))
		}
	case "--lanes":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > maxLanes {
			return usageError(fmt.Sprintf("--lanes %s: want a number from 1 to %d", value, maxLanes))
		}
		t.lanes = n
	case "--nice":
		n, err := strconv.Atoi(value)
		if err != nil || n < -20 || n > 19 {
			return usageError(fmt.Sprintf("--nice %s: want a number from -20, the most urgent, to 19", value))
		}
		t.nice = &n
	case "--plan":
		if value != "inline" && value != "pipelined" {
			return usageError(fmt.Sprintf("--plan %s: want inline or pipelined", value))
		}
		t.pipelined = value == "pipelined"
	case "--without":
		for f := range strings.SplitSeq(value, ",") {
			if !slices.Contains(features, f) {
				return usageError(fmt.Sprintf("--without %s: there is no %q, want some of %s", value, f, strings.Join(features, ",")))
			}
			t.without = append(t.without, f)
		}
	}
	return nil
}

// takesValue reports whether option is one of set's.
func takesValue(option string) bool {
	return slices.Contains([]string{"--cpu", "--lanes", "--nice", "--plan", "--without"}, option)
}

func (t *tuning) has(feature string) bool { return !slices.Contains(t.without, feature) }

// count returns the number of lanes in each direction.
func (t *tuning) count() int {
	if t.lanes > 0 {
		return t.lanes
	}
	return lanes()
}

func (t *tuning) link() tun.Config {
	return tun.Config{Queues: t.count(), Offload: t.has("offload")}
}

func (t *tuning) network() *udp.Network {
	return &udp.Network{
		Lanes: t.count(), NoSegment: !t.has("segment"), NoCoalesce: !t.has("coalesce"), NoSteer: !t.has("steer"),
	}
}

// listImplementations prints which ways there are to do the work that has
// several, the best first, and which of them is in use.
func listImplementations(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "JOB\tIMPLEMENTATION\tNEEDS\tON THIS PROCESSOR")
	for _, i := range impl.List() {
		state := "no"
		switch {
		case i.InUse:
			state = "in use"
		case i.Usable:
			state = "yes"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", i.Job, i.Name, i.Needs, state)
	}
	t.Flush()
}
