package bench

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const nebulaDir = "/run/bench/nebula"

// joinNebula joins two hosts that know each other's addresses, one of them the
// lighthouse. The cipher is the program's own, AES-256-GCM.
func joinNebula(o *options, paths []string) func(context.Context, []*node) error {
	return func(ctx context.Context, nodes []*node) error {
		dir, err := os.MkdirTemp("", "warren-bench-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		sign := func(args ...string) error {
			cmd := exec.CommandContext(ctx, paths[1], args...)
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
			}
			return nil
		}
		if err := sign("ca", "-name", "bench"); err != nil {
			return err
		}
		for i, n := range nodes {
			inner := netip.PrefixFrom(n.inner, network.Bits()).String()
			if err := sign("sign", "-name", n.Name(), "-ip", inner, "-out-crt", n.Name()+".crt", "-out-key", n.Name()+".key"); err != nil {
				return err
			}
			for from, to := range map[string]string{"ca.crt": "ca.crt", n.Name() + ".crt": "host.crt", n.Name() + ".key": "host.key"} {
				text, err := os.ReadFile(filepath.Join(dir, from))
				if err != nil {
					return err
				}
				if err := n.WriteFile(filepath.Join(nebulaDir, to), text, 0o600); err != nil {
					return err
				}
			}
			if err := n.WriteFile(nebulaDir+"/config.yml", []byte(nebulaConfig(nodes, i, o.mtu)), 0o600); err != nil {
				return err
			}
			if err := n.run(ctx, paths[0], "-config", nebulaDir+"/config.yml"); err != nil {
				return err
			}
		}
		return nil
	}
}

func nebulaConfig(nodes []*node, i, mtu int) string {
	server, other := nodes[1], nodes[1-i]
	lighthouse := "lighthouse:\n  am_lighthouse: true\n"
	if i == 0 {
		lighthouse = fmt.Sprintf("lighthouse:\n  am_lighthouse: false\n  hosts: [\"%s\"]\n", server.inner)
	}
	return fmt.Sprintf("pki:\n  ca: %[1]s/ca.crt\n  cert: %[1]s/host.crt\n  key: %[1]s/host.key\n", nebulaDir) +
		fmt.Sprintf("static_host_map:\n  \"%s\": [\"%s:%d\"]\n", other.inner, other.outer, port) + lighthouse +
		fmt.Sprintf("listen:\n  host: 0.0.0.0\n  port: %d\ntun:\n  dev: %s\n  mtu: %d\nlogging:\n  level: error\n", port, link, mtu) +
		"firewall:\n  outbound: [{port: any, proto: any, host: any}]\n  inbound: [{port: any, proto: any, host: any}]\n"
}
