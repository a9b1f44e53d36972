// Package packaging holds what is installed beside the binary and is not made
// by it: the systemd units. @BINDIR@ in them stands for the directory of the
// programs.
package packaging

import "embed"

// Units are the systemd units, in the directory systemd.
//
//go:embed systemd
var Units embed.FS
