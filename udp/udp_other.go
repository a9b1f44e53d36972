//go:build !linux

package udp

// openSystem opens portable sockets: there are no others on this system yet.
func (n *Network) openSystem(number uint16, mark uint32) (Port, error) {
	return n.openPortable(number, mark)
}
