package main

import (
	"os"

	"github.com/warrenvpn/warren/internal/cmd/bench"
	"github.com/warrenvpn/warren/internal/cmd/complete"
	"github.com/warrenvpn/warren/internal/cmd/demo"
	"github.com/warrenvpn/warren/internal/cmd/device"
	"github.com/warrenvpn/warren/internal/cmd/install"
	"github.com/warrenvpn/warren/internal/cmd/tunnel"
	"github.com/warrenvpn/warren/internal/cmd/wg"
	"github.com/warrenvpn/warren/internal/cmd/wgquick"
)

// families are the commands of this binary, in the order of its help.
var families = []family{
	{
		words: []command{
			{"up", "FILE|NAME", "bring up a tunnel from its configuration file", tunnels},
			{"down", "FILE|NAME", "take it down again", tunnels},
			{"save", "FILE|NAME", "write its present state to the file", tunnels},
			{"strip", "FILE|NAME", "print what the file says to wg", tunnels},
		},
		keepWord: true,
		run:      withVersion(tunnel.Main),
	},
	{
		words: []command{{"wg", "[SUBCOMMAND]", "show and set the configuration of interfaces, as wg(8)", tools}},
		link:  "wg",
		run:   runWG,
	},
	{
		words: []command{{"wg-quick", "SUBCOMMAND ...", "bring tunnels up and down, as wg-quick(8)", tools}},
		link:  "wg-quick",
		run:   wgquick.Main,
	},
	{
		words: []command{{"device", "[-f] INTERFACE", "run an interface in user space, as wireguard-go", tools}},
		link:  "wireguard-go",
		run:   withVersion(device.Main),
	},
	{
		words: []command{{"demo", "", "make a network of five hosts on this machine and measure it", showing}},
		run:   withVersion(demo.Main),
	},
	{
		words: []command{{"bench", "", "measure this program beside others on this machine", showing}},
		run:   withVersion(bench.Main),
	},
	{
		words: []command{
			{"install", "[--compat]", "install this program and what belongs to it", itself},
			{"uninstall", "", "remove what install has installed", itself},
		},
		keepWord: true,
		run:      withVersion(install.Main),
	},
	{
		words: []command{{"completion", "SHELL [PROGRAM]", "print the completion script of a shell", itself}},
		run:   complete.Main,
	},
}

// withVersion fits the families that are told the version by an argument.
func withVersion(main func(program string, args []string, version string) int) func(string, []string) int {
	return func(program string, args []string) int { return main(program, args, version) }
}

func runWG(program string, args []string) int {
	wg.Version = version
	return wg.Main(append([]string{program}, args...), os.Stdin, os.Stdout, os.Stderr)
}
