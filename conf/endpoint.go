package conf

import "strings"

// Text returns the endpoint as it is written: the host in brackets if it has a
// colon, a colon, and the port.
func (e Endpoint) Text() string {
	if strings.ContainsRune(e.Host, ':') {
		return "[" + e.Host + "]:" + e.Port
	}
	return e.Host + ":" + e.Port
}
