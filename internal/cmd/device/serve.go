package device

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"runtime/debug"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/warrenvpn/warren/device"
	"github.com/warrenvpn/warren/tun"
	"github.com/warrenvpn/warren/uapi"
)

// serve runs a device until ctx ends, its link is deleted, or its control
// socket is removed; none of these is an error. It calls started once the
// device answers, and returns after everything has ended.
func serve(ctx context.Context, t *tuning, link *tun.Device, socket *uapi.Listener, log *slog.Logger, started func() error) error {
	dev, err := device.New(device.Config{TUN: link, Network: t.network(), Pipelined: t.pipelined, Log: log})
	if err != nil {
		return errors.Join(err, socket.Close(), link.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	engine, control := make(chan error, 1), make(chan error, 1)
	go func() { engine <- dev.Run(ctx) }()
	go func() { control <- uapi.Serve(ctx, socket, newThrifty(dev)) }()

	dev.Status() // answers once the control loop turns
	if err = started(); err != nil {
		cancel()
		return errors.Join(err, unlessWanted(<-engine), unlessWanted(<-control))
	}
	select {
	case err = <-engine:
		cancel()
		log.Info("shutting down", "reason", reason(err))
		return errors.Join(unlessWanted(err), unlessWanted(<-control))
	case err = <-control:
		log.Info("shutting down", "reason", reason(err))
		cancel()
		return errors.Join(unlessWanted(err), unlessWanted(<-engine))
	}
}

// unlessWanted hides the errors that stand for an end as it should be.
func unlessWanted(err error) error {
	if errors.Is(err, device.ErrInterfaceGone) || errors.Is(err, uapi.ErrRemoved) ||
		errors.Is(err, context.Canceled) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func reason(err error) string {
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return "asked to"
	case errors.Is(err, uapi.ErrRemoved):
		return "the control socket was removed"
	}
	return err.Error()
}

// notifySupervisor tells systemd, where it started us and asked to be told.
func notifySupervisor() {
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReady)
}

// catchCrash makes a Go crash of a process without stderr leave its trace in a
// file. The function it returns removes the file when nothing was written.
func catchCrash(iface string) func() {
	path := crashFile(iface)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return func() {}
	}
	defer f.Close()
	if err := debug.SetCrashOutput(f, debug.CrashOptions{}); err != nil {
		return func() { _ = os.Remove(path) }
	}
	return func() {
		_ = debug.SetCrashOutput(nil, debug.CrashOptions{})
		_ = os.Remove(path)
	}
}
