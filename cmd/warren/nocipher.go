//go:build nocipher

package main

// The tag nocipher takes the encryption out of package aead, for a benchmark.
// This program must never be built so: it does not compile.
var _ = a_program_for_users_cannot_be_built_without_its_cipher
