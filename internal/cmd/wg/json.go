package wg

import (
	"encoding/json"

	"github.com/warrenvpn/warren/conf"
)

// jsonDevice is an interface in the shape of the contributed wg-json script.
// Members that are unset or zero are left out. Keys are shown, as in `dump`.
type jsonDevice struct {
	PrivateKey string              `json:"privateKey,omitempty"`
	PublicKey  string              `json:"publicKey,omitempty"`
	ListenPort uint16              `json:"listenPort,omitempty"`
	FwMark     uint32              `json:"fwmark,omitempty"`
	Peers      map[string]jsonPeer `json:"peers"`
}

type jsonPeer struct {
	PresharedKey        string   `json:"presharedKey,omitempty"`
	Endpoint            string   `json:"endpoint,omitempty"`
	LatestHandshake     int64    `json:"latestHandshake,omitempty"`
	TransferRx          uint64   `json:"transferRx,omitempty"`
	TransferTx          uint64   `json:"transferTx,omitempty"`
	PersistentKeepalive uint16   `json:"persistentKeepalive,omitempty"`
	AllowedIPs          []string `json:"allowedIps"`
}

// showJSON prints one object with a member for every interface, or for one.
func (t *tool) showJSON(args []string) int {
	if len(args) > 1 {
		return t.usage("show")
	}
	var names []string
	if len(args) == 1 && args[0] != "all" {
		names = args
	} else {
		var err error
		if names, err = t.client.Names(); err != nil {
			return t.failWith("Unable to list interfaces", err)
		}
	}
	all := map[string]jsonDevice{}
	for _, name := range names {
		d, err := t.client.Device(name)
		if err != nil && len(args) == 1 && args[0] != "all" {
			return t.failWith("Unable to access interface", err)
		}
		if err != nil {
			t.say("Unable to access interface " + name + ": " + reason(err))
			continue
		}
		all[name] = jsonOf(&d)
		forget(&d)
	}
	enc := json.NewEncoder(t.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(all); err != nil {
		return t.failWith("write", err)
	}
	if len(all) == 0 && len(names) > 0 {
		return 1
	}
	return 0
}

func jsonOf(d *conf.Device) jsonDevice {
	j := jsonDevice{ListenPort: d.ListenPort, FwMark: d.FwMark, Peers: make(map[string]jsonPeer, len(d.Peers))}
	if !d.PrivateKey.IsZero() {
		j.PrivateKey, j.PublicKey = d.PrivateKey.Reveal(), d.PublicKey.String()
	}
	for i := range d.Peers {
		j.Peers[d.Peers[i].PublicKey.String()] = jsonOfPeer(&d.Peers[i])
	}
	return j
}

func jsonOfPeer(p *conf.Peer) jsonPeer {
	j := jsonPeer{
		TransferRx: p.RxBytes, TransferTx: p.TxBytes,
		PersistentKeepalive: p.PersistentKeepalive, AllowedIPs: make([]string, len(p.AllowedIPs)),
	}
	if !p.PresharedKey.IsZero() {
		j.PresharedKey = p.PresharedKey.Reveal()
	}
	if p.Endpoint.IsValid() {
		j.Endpoint = endpointText(p)
	}
	if !p.LastHandshake.IsZero() {
		j.LatestHandshake = p.LastHandshake.Unix()
	}
	for i, ip := range p.AllowedIPs {
		j.AllowedIPs[i] = ip.String()
	}
	return j
}
