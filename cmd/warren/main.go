// Command warren is the one binary of this module. It picks a family of
// commands by the name it is called by, or else by its first word:
//
//	wg ...             as warren wg ...
//	wg-quick ...       as warren wg-quick ...
//	wireguard-go ...   as warren device ...
//	warren WORD ...
//
// Each family is a package under internal/cmd that parses its own flags.
package main

import (
	"os"
	"path/filepath"
	"strings"
)

// version is set when the binary is built, from the file VERSION.
var version = "devel"

func main() {
	os.Exit(run(os.Args))
}

// run dispatches and returns the exit code.
func run(argv []string) int {
	called := "warren"
	var args []string
	if len(argv) > 0 {
		called = strings.TrimSuffix(filepath.Base(argv[0]), ".exe")
		args = argv[1:]
	}
	for _, f := range families {
		if f.link != "" && f.link == called {
			return f.run(called, args)
		}
	}
	return dispatch(os.Stdout, os.Stderr, args)
}
