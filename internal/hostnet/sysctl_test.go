package hostnet

import "testing"

func TestSysctlPath(t *testing.T) {
	for name, want := range map[string]string{
		"net.ipv4.conf.all.src_valid_mark":  "net/ipv4/conf/all/src_valid_mark",
		"net/ipv4/conf/all/src_valid_mark":  "net/ipv4/conf/all/src_valid_mark",
		"net/ipv6/conf/eth0.1/disable_ipv6": "net/ipv6/conf/eth0.1/disable_ipv6",
		"net.ipv6.conf.eth0/1.disable_ipv6": "net/ipv6/conf/eth0.1/disable_ipv6",
		"net/ipv6/conf/-h/disable_ipv6":     "net/ipv6/conf/-h/disable_ipv6",
		"kernel":                            "kernel",
	} {
		if got, err := sysctlPath(name); err != nil || got != want {
			t.Errorf("%q is at %q, error %v, want %q", name, got, err, want)
		}
	}
	// A setting is below its folder, whatever an interface is called.
	for _, name := range []string{"", ".", "/", "net/../../etc/passwd", "net/./ipv4", "net//ipv4", "net/ipv4/", "/etc/passwd", "net..ipv4", "net.//.x", "net/\x00"} {
		if got, err := sysctlPath(name); err == nil {
			t.Errorf("%q is at %q, want an error", name, got)
		}
	}
}

func TestSameValue(t *testing.T) {
	if !sameValue("4096\t131072\t6291456", "4096 131072  6291456") || !sameValue("1", "1\n") || sameValue("1", "0") || sameValue("1 1", "11") {
		t.Error("values of settings are compared by their numbers")
	}
}
