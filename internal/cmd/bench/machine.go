package bench

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/warrenvpn/warren/internal/impl"
)

// Machine is what the figures depend on besides the programs.
type Machine struct {
	Processor  string `json:"processor"`
	Processors int    `json:"processors"`
	Memory     string `json:"memory"`
	Kernel     string `json:"kernel"`
	System     string `json:"system"` // as Go names it: linux/amd64
	Generator  string `json:"load_generator,omitempty"`
	// Implementations are those in use, by job: what this processor can.
	Implementations map[string]string `json:"implementations"`
	// LoadBefore and LoadAfter are how many processes wanted to run in the last
	// minute: what else the machine had to do, and what the benchmark did.
	LoadBefore string `json:"load_before"`
	LoadAfter  string `json:"load_after"`
}

func describeMachine() Machine {
	m := Machine{
		Processor:  firstLine("/proc/cpuinfo", "model name"),
		Processors: runtime.NumCPU(),
		Memory:     firstLine("/proc/meminfo", "MemTotal"),
		System:     runtime.GOOS + "/" + runtime.GOARCH,
		LoadBefore: loadOfMachine(),
		Kernel:     runtime.GOOS,

		Implementations: map[string]string{},
	}
	if m.Processor == "" {
		m.Processor = runtime.GOARCH
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = "Linux " + strings.TrimSpace(string(text))
	}
	for _, i := range impl.List() {
		if i.InUse {
			m.Implementations[i.Job] = i.Name
		}
	}
	return m
}

// firstLine returns what follows a name and a colon in a file.
func firstLine(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for l := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func loadOfMachine() string {
	text, err := os.ReadFile("/proc/loadavg")
	var minute float64
	if err != nil {
		return "unknown"
	}
	if _, err := fmt.Sscan(string(text), &minute); err != nil {
		return "unknown"
	}
	return fmt.Sprint(minute)
}
