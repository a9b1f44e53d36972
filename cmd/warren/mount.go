package main

import "github.com/warrenvpn/warren/internal/cmd/device"

// families are the commands of this binary.
var families = []family{
	{
		words: []command{{"device", "[-f] INTERFACE", "run a WireGuard interface in user space", tunnels}},
		link:  "wireguard-go",
		run:   func(program string, args []string) int { return device.Main(program, args, version) },
	},
}
