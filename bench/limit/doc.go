// Command limit is `warren device` without encryption: what is left of the work
// when the cipher costs nothing, and so the most that a better cipher could
// bring. Handshakes are real, and both ends must be this program.
//
//	go build -tags nocipher -ldflags "-X github.com/warrenvpn/warren/internal/aead.benchmark=limit" ./limit
//
// It protects nothing and is of no use but to be measured.
package main
