package wg

import (
	"flag"
	"path/filepath"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/internal/fakekernel"
	"github.com/warrenvpn/warren/internal/scripttest"
	"github.com/warrenvpn/warren/wgctl"
)

// TestScriptsWithKernel is the same for an interface of the kernel: I11, as far
// as a model of a kernel can tell.
func TestScriptsWithKernel(t *testing.T) {
	if u := flag.Lookup("update"); u != nil && u.Value.String() == "true" {
		return // TestScripts has written what is expected
	}
	scripttest.Run(t, "testdata/*.txt", func(t *testing.T) scripttest.Machine {
		return newScriptedWithKernel(t)
	})
}

func newScriptedWithKernel(t *testing.T) *scripted {
	k := fakekernel.New(fakekernel.Linux616)
	k.Page = 600
	k.AddWireGuard("wg0")
	dir := socketDir(t)
	return &scripted{
		t: t, dir: dir, plane: inKernel{k}, env: map[string]string{},
		client: &wgctl.Client{Dir: filepath.Join(dir, "sockets"), Dial: k.Dial},
	}
}

type inKernel struct{ *fakekernel.Kernel }

func (k inKernel) reset(d conf.Device)           { k.SetDevice("wg0", d) }
func (k inKernel) add(_ *testing.T, name string) { k.AddWireGuard(name) }

func (k inKernel) Status() conf.Device { return k.Device("wg0") }

func (k inKernel) text(t *testing.T) string {
	m := model{d: k.Status()}
	for i := range m.d.Peers {
		m.d.Peers[i].Endpoint = named(m.d.Peers[i].Endpoint)
	}
	return m.text(t)
}

// words: a kernel that has WireGuard knows that an interface is not there. One
// that has not, as in the scripts, cannot say so.
func (k inKernel) words(line string) string {
	return strings.ReplaceAll(line, "No such device", "Protocol not supported")
}
