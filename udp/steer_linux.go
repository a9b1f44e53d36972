package udp

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// steer gives f further sockets on its port: data lanes, and one for
// everything that is not transport data. Where the kernel refuses, f is left
// with its one socket. Every receiver has to tell messages apart anyway: before
// the program is in place, and when unlike messages of one length were
// coalesced.
func (n *Network) steer(sys *calls, f *family, number uint16, mark uint32) {
	lanes := max(n.Lanes, 1)
	group := append(make([]int, 0, lanes+1), f.data[0])
	if err := n.openGroup(sys, f.is6, number, mark, &group, lanes+1); err != nil {
		closeAll(group[1:])
		_ = sys.setInt(f.data[0], unix.SOL_SOCKET, unix.SO_REUSEPORT, 0)
		return
	}
	f.data, f.handshake = group[:lanes:lanes], group[lanes]
}

// openGroup binds siblings to group[0] until there are size sockets, and steers
// between them. The index of a socket in the group is the order of binding.
func (n *Network) openGroup(sys *calls, is6 bool, number uint16, mark uint32, group *[]int, size int) error {
	if err := sys.setInt((*group)[0], unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return err
	}
	for len(*group) < size {
		buffer := bufferSize
		if len(*group) == size-1 {
			buffer = handshakeBuffer
		}
		fd, err := n.openSocket(sys, is6, mark, buffer)
		if err != nil {
			return err
		}
		*group = append(*group, fd)
		if err := sys.setInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return err
		}
		if err := bind(sys, fd, is6, number); err != nil {
			return err
		}
	}
	program := steering(size - 1)
	return sys.steer((*group)[0], &unix.SockFprog{Len: uint16(len(program)), Filter: unsafe.SliceData(program)})
}

// steering returns the program that chooses a socket: its input is the payload
// of the datagram, its result an index into the group. Transport data goes to
// the lane of its receiver index, so that a session stays on one lane wherever
// its peer roams; anything else, and anything too short, to the last socket.
func steering(lanes int) []unix.SockFilter {
	const (
		dataType   = 0x04000000 // type 4 and three zero bytes, read big-endian
		leastBytes = 32         // header and tag
		indexByte  = 4          // low byte of the receiver index
	)
	return []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_LEN},
		{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: leastBytes, Jf: 5},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: dataType, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: indexByte},
		{Code: unix.BPF_ALU | unix.BPF_MOD | unix.BPF_K, K: uint32(lanes)},
		{Code: unix.BPF_RET | unix.BPF_A},
		{Code: unix.BPF_RET | unix.BPF_K, K: uint32(lanes)},
	}
}
