package conf

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/warrenvpn/warren/key"
)

// ParsePrivateKey reads a private key in base64.
func ParsePrivateKey(s string) (key.Private, error) {
	k, err := key.ParsePrivate(s)
	if err != nil {
		return k, badKey(s, "wg genkey makes a valid key")
	}
	return k, nil
}

// ParsePublicKey reads a public key in base64.
func ParsePublicKey(s string) (key.Public, error) {
	k, err := key.ParsePublic(s)
	if err != nil {
		return k, badKey(s, "wg pubkey makes the public key of a private key")
	}
	return k, nil
}

// ParsePresharedKey reads a preshared key in base64. All zeros is none.
func ParsePresharedKey(s string) (key.Preshared, error) {
	k, err := key.ParsePreshared(s)
	if err != nil {
		return k, badKey(s, "wg genpsk makes a valid key")
	}
	return k, nil
}

func badKey(s, hint string) error {
	detail := "not base64 of 32 bytes"
	if len(s) != 44 {
		detail = "got " + strconv.Itoa(len(s)) + " characters, want 44 of base64"
	}
	return &ParseError{Detail: detail, Hint: hint, Tool: "Key is not the correct length or format: `" + s + "'"}
}

// ParsePrivateKeyFile reads the content of a key file: 44 characters of base64
// and then white space. An empty file is no key.
func ParsePrivateKeyFile(content []byte) (key.Private, error) {
	s, err := keyFile(content)
	if err != nil || s == "" {
		return key.Private{}, err
	}
	return ParsePrivateKey(s)
}

// ParsePresharedKeyFile is ParsePrivateKeyFile for a preshared key.
func ParsePresharedKeyFile(content []byte) (key.Preshared, error) {
	s, err := keyFile(content)
	if err != nil || s == "" {
		return key.Preshared{}, err
	}
	return ParsePresharedKey(s)
}

func keyFile(b []byte) (string, error) {
	const length = 44
	if len(b) == 0 {
		return "", nil
	}
	if len(b) < length {
		return "", &ParseError{
			Detail: "the key file has " + strconv.Itoa(len(b)) + " bytes, want 44 of base64",
			Hint:   "an empty file removes the key", Tool: "Invalid length key in key file",
		}
	}
	for _, c := range b[length:] {
		if !isSpace(c) {
			return "", &ParseError{
				Detail: "something follows the key in the key file",
				Tool:   "Found trailing character in key file: `" + string([]byte{c}) + "'",
			}
		}
	}
	return string(b[:length]), nil
}

// ParseFwMark reads off, a decimal number or 0x and hexadecimal digits.
func ParseFwMark(s string) (uint32, error) {
	if equalFold(s, "off") {
		return 0, nil
	}
	digits, base := s, 10
	if strings.HasPrefix(s, "0x") {
		digits, base = s[2:], 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil {
		return 0, &ParseError{
			Detail: strconv.Quote(s) + " is no mark: want off, or a number up to 0xffffffff",
			Tool:   "Fwmark is neither 0/off nor 0-0xffffffff: `" + s + "'",
		}
	}
	return uint32(n), nil
}

// ParseKeepalive reads off or a number of seconds.
func ParseKeepalive(s string) (uint16, error) {
	if equalFold(s, "off") {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, &ParseError{
			Detail: strconv.Quote(s) + " is no interval: want off, or 1 to 65535 seconds",
			Tool:   "Persistent keepalive interval is neither 0/off nor 1-65535: `" + s + "'",
		}
	}
	return uint16(n), nil
}

// noService is how the C library says that a port is unknown.
const noService = "Servname not supported for ai_socktype"

// CheckPort accepts a number from 0 to 65535 or what may be the name of a
// service, which is left to the caller to look up.
func CheckPort(s string) error {
	if s == "" {
		return &ParseError{Detail: "no port", Tool: "Unable to parse empty port"}
	}
	if _, err := strconv.ParseUint(s, 10, 16); err == nil || !numberLike(s) {
		return nil
	}
	return &ParseError{
		Detail: "port " + strconv.Quote(s) + " is not within 0-65535",
		Tool:   noService + ": `" + s + "'",
	}
}

// numberLike reports whether s looks like a number to the C library, and so
// cannot be the name of a service.
func numberLike(s string) bool {
	return s != "" && strings.Trim(strings.TrimLeft(s, "+-"), "0123456789") == ""
}

// ParseEndpoint reads host:port. IPv6 addresses may do without brackets: the
// last colon separates. Neither name nor port is looked up.
func ParseEndpoint(s string) (Endpoint, error) {
	fail := func(detail, tool, hint string) (Endpoint, error) {
		return Endpoint{}, &ParseError{Detail: detail, Tool: tool, Hint: hint}
	}
	if s == "" {
		return fail("no endpoint", "Unable to parse empty endpoint", "")
	}
	var e Endpoint
	if s[0] == '[' {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return fail(strconv.Quote(s)+" has [ without ]", "Unable to find matching brace of endpoint: `"+s+"'", "")
		}
		e.Host = s[1:end]
		if rest := s[end+1:]; strings.HasPrefix(rest, ":") {
			e.Port = rest[1:]
		}
	} else if i := strings.LastIndexByte(s, ':'); i >= 0 {
		e.Host, e.Port = s[:i], s[i+1:]
	}
	if e.Port == "" {
		return fail(strconv.Quote(s)+" has no port: want HOST:PORT", "Unable to find port of endpoint: `"+s+"'",
			"the port a peer listens on is mostly 51820")
	}
	if err := CheckPort(e.Port); err != nil {
		pe := err.(*ParseError)
		pe.Tool = noService + ": `" + s + "'"
		return Endpoint{}, pe
	}
	switch unknown := "Name or service not known: `" + s + "'"; {
	case e.Host == "":
		return fail(strconv.Quote(s)+" has no host: want HOST:PORT", unknown, "")
	case strings.ContainsAny(e.Host, "[]"):
		return fail(strconv.Quote(s)+" has brackets inside the host", unknown, "")
	}
	return e, nil
}

// AllowedIPs is a list as it is written.
type AllowedIPs struct {
	List []AllowedIP
	// Incremental says that an element had + or -: the list is added to and
	// removed from what is there. Otherwise it replaces it.
	Incremental bool
	// Warnings are for elements with host bits, in the words of wg(8).
	Warnings []string
}

// ParseAllowedIPs reads a list separated by commas, without white space. The
// empty text is the empty list. With an error come the warnings for what was
// before it.
func ParseAllowedIPs(s string) (AllowedIPs, error) {
	var a AllowedIPs
	if err := a.parse(s); err != nil {
		return AllowedIPs{Warnings: a.Warnings}, err
	}
	return a, nil
}

// parse appends what s says to a.
func (a *AllowedIPs) parse(s string) error {
	if s == "" {
		return nil
	}
	for element := range strings.SplitSeq(s, ",") {
		text := element
		if strings.HasPrefix(element, "+") || strings.HasPrefix(element, "-") {
			text = element[1:]
			a.Incremental = true
		}
		p, err := parsePrefix(text)
		if err != nil {
			return err
		}
		if p.Masked() != p {
			a.Warnings = append(a.Warnings, "Warning: AllowedIP has nonzero host part: "+hostPart(text, p))
		}
		a.List = append(a.List, AllowedIP{Prefix: p.Masked(), Remove: strings.HasPrefix(element, "-")})
	}
	return nil
}

// hostPart returns address and length as they are written.
func hostPart(text string, p netip.Prefix) string {
	if strings.ContainsRune(text, '/') {
		return text
	}
	return text + "/" + strconv.Itoa(p.Bits())
}

func parsePrefix(s string) (netip.Prefix, error) {
	host, mask, hasMask := strings.Cut(s, "/")
	a, err := netip.ParseAddr(host)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, &ParseError{
			Detail: strconv.Quote(host) + " is not an IP address",
			Tool:   "Unable to parse IP address: `" + host + "'",
		}
	}
	bits := a.BitLen()
	if hasMask {
		n, err := strconv.ParseUint(mask, 10, 64)
		if err != nil || n > uint64(bits) {
			detail := strconv.Quote(s) + " has no number after the /"
			if err == nil {
				detail = strconv.Quote(s) + " has a prefix longer than " + strconv.Itoa(bits) + " bits"
			}
			return netip.Prefix{}, &ParseError{Detail: detail, Tool: "AllowedIP is not in the correct format: `" + s + "'"}
		}
		bits = int(n)
	}
	return netip.PrefixFrom(a, bits), nil
}

// isSpace is what wg(8) takes for white space, whatever the locale.
func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// RemoveSpace removes all white space, as wg(8) does from its lines and lists.
func RemoveSpace(s string) string {
	for s != "" && isSpace(s[0]) {
		s = s[1:]
	}
	for s != "" && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	inner := 0
	for inner < len(s) && !isSpace(s[inner]) {
		inner++
	}
	if inner == len(s) {
		return s
	}
	b := append(make([]byte, 0, len(s)), s[:inner]...)
	for i := inner; i < len(s); i++ {
		if !isSpace(s[i]) {
			b = append(b, s[i])
		}
	}
	return string(b)
}

// equalFold compares ASCII letters in any case, and nothing else.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
