package wgnl

// genericHeader precedes the attributes of every message of generic netlink:
// command, version and two bytes of nothing.
const genericHeader = 4

// FamilyRequest asks for the number of the family. A kernel without WireGuard
// answers that there is no such file or directory. Its message type is
// TypeControl.
func FamilyRequest() []byte {
	w := writer{[]byte{ctrlCmdGetFamily, 1, 0, 0}}
	w.text(ctrlAttrFamilyName, familyName)
	return w.b
}

// ParseFamily reads the answer: the message type of all further requests.
func ParseFamily(m []byte) (id uint16, err error) {
	if len(m) < genericHeader || m[0] != ctrlCmdNewFamily {
		return 0, malformed("the answer of %d bytes does not describe a family", len(m))
	}
	err = attributes(m[genericHeader:], func(kind uint16, v []byte) error {
		if kind != ctrlAttrFamilyID {
			return nil
		}
		if err := sized("the number of the family", v, 2); err != nil {
			return err
		}
		id = native.Uint16(v)
		return nil
	})
	if err == nil && id == 0 {
		err = malformed("the family has no number")
	}
	return id, err
}

// Link is a network interface.
type Link struct {
	Index int
	Name  string
	Kind  string // empty for hardware, "wireguard" for ours
}

// IsWireGuard reports whether the kernel's own WireGuard implements the link.
func (l Link) IsWireGuard() bool { return l.Kind == familyName }

// LinksRequest asks for all links. Its message type is TypeGetLink.
func LinksRequest() []byte { return make([]byte, sizeofIfInfo) }

// ParseLink reads one message of the answer.
func ParseLink(m []byte) (Link, error) {
	if len(m) < sizeofIfInfo {
		return Link{}, malformed("a link has %d bytes, want at least %d", len(m), sizeofIfInfo)
	}
	l := Link{Index: int(int32(native.Uint32(m[ifInfoIndexOff:])))}
	err := attributes(m[sizeofIfInfo:], func(kind uint16, v []byte) error {
		switch kind {
		case iflaIfName:
			l.Name = text(v)
		case iflaLinkInfo:
			return attributes(v, func(kind uint16, v []byte) error {
				if kind == iflaInfoKind {
					l.Kind = text(v)
				}
				return nil
			})
		}
		return nil
	})
	return l, err
}
