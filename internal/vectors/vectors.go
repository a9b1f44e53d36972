package vectors

import (
	"embed"
	"encoding/hex"
	"encoding/json"
	"net/netip"
)

//go:embed testdata/*.json
var files embed.FS

// Hex is a byte string that is hexadecimal in the files.
type Hex []byte

// UnmarshalText decodes hexadecimal.
func (h *Hex) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// Array returns the 32 bytes of a key.
func (h Hex) Array() *[32]byte { return (*[32]byte)(h) }

// Handshake is one case of testdata/handshakes.json; see the package comment.
type Handshake struct {
	Name             string
	Initiator        Side
	Responder        Side
	Preshared        Hex
	Timestamp        Hex
	Initiation       Hex
	Response         Hex
	InitiatorSend    Hex `json:"initiator_send"`
	InitiatorReceive Hex `json:"initiator_receive"`
	Payload          Hex
	First            Hex
	AnswerCounter    uint64 `json:"answer_counter,string"`
	Answer           Hex
	InitiationCookie Cookie `json:"initiation_cookie"`
	ResponseCookie   Cookie `json:"response_cookie"`
}

// Side is what is fixed of one side of a handshake.
type Side struct {
	Private, Public, Ephemeral Hex
	Index                      uint32
}

// Cookie is the reaction to a handshake message under load.
type Cookie struct {
	Secret Hex
	Source netip.AddrPort
	Nonce  Hex
	Value  Hex
	Reply  Hex
	MAC2   Hex `json:"mac2"`
}

// Hash is one case of testdata/blake2s.json; see the package comment.
type Hash struct {
	Key, Data, Chain Hex
	Hash, MAC, MAC16 Hex
	HMAC33           Hex
	KDF              [3]Hex
}

// Handshakes returns the handshakes.
func Handshakes() []Handshake { return load[Handshake]("testdata/handshakes.json") }

// Hashes returns the BLAKE2s, HMAC and KDF cases.
func Hashes() []Hash { return load[Hash]("testdata/blake2s.json") }

func load[T any](name string) (cases []T) {
	b, err := files.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(b, &cases)
	}
	if err != nil {
		panic("vectors: " + name + ": " + err.Error())
	}
	return cases
}

// unhex decodes the tables of this package; white space is ignored.
func unhex(s string) []byte {
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		if c := s[i]; c != ' ' && c != '\n' && c != '\t' {
			b = append(b, c)
		}
	}
	out, err := hex.DecodeString(string(b))
	if err != nil {
		panic("vectors: " + err.Error())
	}
	return out
}
