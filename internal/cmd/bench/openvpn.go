package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"
)

// joinOpenVPN joins two hosts point to point, by TLS with the fingerprints of
// each other's certificates. The cipher is the program's own first choice,
// AES-256-GCM, which processors help with.
func joinOpenVPN(o *options, paths []string) func(context.Context, []*node) error {
	return func(ctx context.Context, nodes []*node) error {
		var prints []string
		for _, n := range nodes {
			print, err := n.certify()
			if err != nil {
				return err
			}
			prints = append(prints, print)
		}
		for i, n := range nodes {
			other := nodes[1-i]
			role := []string{"--tls-client"}
			if i == 1 {
				role = []string{"--tls-server", "--dh", "none"}
			}
			argv := append([]string{
				paths[0], "--dev", link, "--dev-type", "tun", "--proto", "udp", "--disable-dco",
				"--local", n.outer.String(), "--lport", strconv.Itoa(port), "--remote", other.outer.String(), strconv.Itoa(port),
				"--ifconfig", n.inner.String(), other.inner.String(), "--tun-mtu", strconv.Itoa(o.mtu),
				"--cert", certFile, "--key", keyFile, "--peer-fingerprint", prints[1-i],
				"--data-ciphers", "AES-256-GCM", "--fast-io", "--txqueuelen", "1000",
			}, role...)
			if err := n.run(ctx, argv...); err != nil {
				return err
			}
		}
		return nil
	}
}

const (
	certFile = "/run/bench/cert.pem"
	keyFile  = "/run/bench/key.pem"
)

// certify gives a host a certificate and returns its fingerprint.
func (n *node) certify() (fingerprint string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: n.Name()},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return "", err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", err
	}
	if err := n.writePEM(certFile, "CERTIFICATE", cert); err != nil {
		return "", err
	}
	if err := n.writePEM(keyFile, "PRIVATE KEY", secret); err != nil {
		return "", err
	}
	var pairs []string
	for _, b := range sha256.Sum256(cert) {
		pairs = append(pairs, fmt.Sprintf("%02X", b))
	}
	return strings.Join(pairs, ":"), nil
}

func (n *node) writePEM(file, kind string, der []byte) error {
	return n.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
