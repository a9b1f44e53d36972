//go:build !amd64 || purego

package x25519

const wideUsable = false

func multiplyWide(*[MaxProducts][Size]byte, []Product) {
	panic("x25519: no vectors here")
}
