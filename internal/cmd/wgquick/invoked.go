package wgquick

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/warrenvpn/warren/internal/cmd/tunnel"
)

// invoked returns the absolute path by which this program was called: through
// a link, its name says what it is to be.
func invoked() (string, error) {
	called := os.Args[0]
	if !strings.Contains(called, "/") {
		path, err := tunnel.LookUp(called)
		if err != nil {
			return os.Executable()
		}
		called = path
	}
	return filepath.Abs(called)
}
