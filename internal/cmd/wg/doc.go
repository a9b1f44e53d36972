// Package wg is the wg(8) command: it shows and changes WireGuard interfaces and
// makes keys. Arguments, output, messages and exit codes are those of
// wireguard-tools, so that scripts cannot tell them apart; what is ours beyond
// that is listed in docs/compatibility.md: `wg show --json`, --help everywhere,
// and hints that only a terminal is shown.
//
// It does not know how interfaces are reached (package wgctl) nor what a
// configuration file means (package conf).
package wg
