package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/warrenvpn/warren/internal/quick"
	"github.com/warrenvpn/warren/wgctl"
)

const retriesEnv = "WG_ENDPOINT_RESOLUTION_RETRIES"

// answerTime is how long a daemon may take to answer: one that is alive needs
// that much only for a change of a great many peers.
const answerTime = 20 * time.Second

// newClient returns the way to devices. Looking up endpoints ends when ctx
// does, and so does waiting for a daemon.
func newClient(ctx context.Context) (*wgctl.Client, error) {
	retries, err := wgctl.ParseRetries(os.Getenv(retriesEnv))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", retriesEnv, err)
	}
	client := &wgctl.Client{Timeout: answerTime, Resolver: &wgctl.Resolver{
		Retries: retries,
		Lookup: func(name string) ([]netip.Addr, error) {
			if ctx.Err() != nil {
				return nil, &net.DNSError{Err: "interrupted", Name: name, IsNotFound: true} // final
			}
			return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		},
		Sleep: func(d time.Duration) {
			timer := time.NewTimer(d)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		},
		Notify: func(line string) { fmt.Fprintln(os.Stderr, line) },
	}}
	return client.WithContext(ctx), nil
}

// unresolved says where in the file an endpoint stands that has no address.
func unresolved(c *quick.Config, err error) error {
	var r *wgctl.ResolveError
	if !errors.As(err, &r) {
		return err
	}
	p := &quick.Problem{Path: c.Path, Key: "Endpoint", Text: err.Error(), Err: err, Hint: "a numeric address needs no name service"}
	p.Line = c.EndpointLine(r.Endpoint)
	return p
}
