package wgnl

// What netlink(7) and rtnetlink(7) call the two protocols and the messages used
// here. They are not taken from x/sys so that this package builds everywhere.
const (
	ProtocolRoute   = 0  // NETLINK_ROUTE
	ProtocolGeneric = 16 // NETLINK_GENERIC

	TypeGetLink = 18 // RTM_GETLINK, the message type of LinksRequest
	TypeControl = 16 // GENL_ID_CTRL, the message type of FamilyRequest
)

// The family and its two commands.
const (
	familyName    = "wireguard"
	familyVersion = 1

	cmdGet = 0
	cmdSet = 1
)

// The family that knows families: linux/genetlink.h.
const (
	ctrlCmdNewFamily   = 1
	ctrlCmdGetFamily   = 3
	ctrlAttrFamilyID   = 1
	ctrlAttrFamilyName = 2
)

// Attributes of links: linux/if_link.h.
const (
	sizeofIfInfo   = 16
	iflaIfName     = 3
	iflaLinkInfo   = 18
	iflaInfoKind   = 1
	ifInfoIndexOff = 4
)

// Attributes of a device.
const (
	deviceIfIndex    = 1
	deviceIfName     = 2
	devicePrivateKey = 3
	devicePublicKey  = 4
	deviceFlags      = 5
	deviceListenPort = 6
	deviceFwMark     = 7
	devicePeers      = 8

	deviceReplacePeers = 1 // in deviceFlags
)

// Attributes of a peer.
const (
	peerPublicKey     = 1
	peerPresharedKey  = 2
	peerFlags         = 3
	peerEndpoint      = 4
	peerKeepalive     = 5
	peerLastHandshake = 6
	peerRxBytes       = 7
	peerTxBytes       = 8
	peerAllowedIPs    = 9
	peerProtocol      = 10

	peerRemove            = 1 // in peerFlags
	peerReplaceAllowedIPs = 2
	peerUpdateOnly        = 4
)

// Attributes of an allowed IP.
const (
	ipFamily  = 1
	ipAddress = 2
	ipBits    = 3
	ipFlags   = 4 // since Linux 6.16

	ipRemove = 1 // in ipFlags
)

// Address families and the sizes of their socket addresses.
const (
	afInet  = 2
	afInet6 = 10

	sizeofSockaddr4 = 16
	sizeofSockaddr6 = 28
)

// Bits of an attribute's type.
const (
	flagNested   = 0x8000
	maskAttrType = 0x3fff // without the two flags
)

// unknownAttr is an attribute that no kernel knows.
const unknownAttr = maskAttrType
