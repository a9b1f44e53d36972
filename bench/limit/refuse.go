//go:build !nocipher

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "limit: built with a cipher, so it measures no limit\nhint: scripts/bench builds it with -tags nocipher")
	os.Exit(1)
}
