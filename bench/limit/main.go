//go:build nocipher

package main

import (
	"os"

	"github.com/warrenvpn/warren/internal/cmd/device"
)

func main() { os.Exit(device.Main("limit", os.Args[1:], "without a cipher")) }
