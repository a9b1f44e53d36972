// Package examples holds the configuration files of this directory, so that a
// program can show them at work without having the source at hand. Each
// directory has a README.
package examples

import "embed"

// Files are the networks of this directory: full/HOST/wg0.conf and
// nat-to-nat/HOST/wg0.conf.
//
//go:embed full/*/wg0.conf nat-to-nat/*/wg0.conf
var Files embed.FS
