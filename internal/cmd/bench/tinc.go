package bench

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"path"
)

const tincDir = "/run/bench/tinc"

// joinTinc joins two hosts by version 1.0 of the program, with the cipher it
// has by itself: AES-256-CBC and SHA-256.
func joinTinc(o *options, paths []string) func(context.Context, []*node) error {
	return func(ctx context.Context, nodes []*node) error {
		var hosts []string
		for _, n := range nodes {
			text, err := n.tincKey()
			if err != nil {
				return err
			}
			hosts = append(hosts, fmt.Sprintf("Address = %s\nPort = %d\nSubnet = %s/32\nPMTU = %d\n%s", n.outer, port, n.inner, o.mtu, text))
		}
		for i, n := range nodes {
			other := nodes[1-i]
			files := map[string]string{
				"tinc.conf":                      fmt.Sprintf("Name = %s\nConnectTo = %s\nInterface = %s\nAddressFamily = ipv4\n", n.Name(), other.Name(), link),
				path.Join("hosts", n.Name()):     hosts[i],
				path.Join("hosts", other.Name()): hosts[1-i],
			}
			for name, text := range files {
				if err := n.WriteFile(path.Join(tincDir, name), []byte(text), 0o600); err != nil {
					return err
				}
			}
			if err := n.run(ctx, paths[0], "-D", "-c", tincDir, "--pidfile="+tincDir+"/pid"); err != nil {
				return err
			}
			if err := n.bringUp(ctx, o.mtu); err != nil {
				return err
			}
		}
		return nil
	}
}

// tincKey gives a host its key and returns the public part.
func (n *node) tincKey() (public []byte, err error) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	err = n.writePEM(path.Join(tincDir, "rsa_key.priv"), "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(private))
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&private.PublicKey)}), err
}
