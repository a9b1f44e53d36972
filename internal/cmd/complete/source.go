package complete

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/warrenvpn/warren/wgctl"
)

// Source is what completion asks the system. A nil function knows nothing.
type Source struct {
	Interfaces func() []string            // the live ones, as `wg show interfaces`
	Peers      func(link string) []string // public keys of the peers of one
	Configs    func() []string            // what wg-quick takes by name
	Local      func() []string            // configuration files in this directory
}

// configDir is where wg-quick looks for a tunnel given by its name.
const configDir = "/etc/wireguard"

// System asks this host.
func System() Source {
	client := &wgctl.Client{}
	return Source{
		Interfaces: func() []string {
			names, _ := client.Names()
			return names
		},
		Peers: func(link string) []string {
			d, err := client.Device(link)
			if err != nil {
				return nil
			}
			defer d.PrivateKey.Clear()
			keys := make([]string, len(d.Peers))
			for i := range d.Peers {
				keys[i] = d.Peers[i].PublicKey.String()
				d.Peers[i].PresharedKey.Clear()
			}
			return keys
		},
		Configs: func() []string { return configs(configDir) },
		Local:   func() []string { return configs(".") },
	}
}

// configs are the names of the tunnels whose files are in a directory.
func configs(dir string) []string {
	entries, _ := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".conf")
		if !ok || name == "" {
			continue
		}
		if info, err := os.Stat(filepath.Join(dir, e.Name())); err == nil && info.Mode().IsRegular() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (s Source) interfaces() []string { return call(s.Interfaces) }
func (s Source) configs() []string    { return call(s.Configs) }
func (s Source) local() []string      { return call(s.Local) }

func (s Source) peers(link string) []string {
	if s.Peers == nil {
		return nil
	}
	return s.Peers(link)
}

func call(f func() []string) []string {
	if f == nil {
		return nil
	}
	return f()
}
