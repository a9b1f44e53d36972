package vectors

// X25519 is a scalar multiplication.
type X25519 struct {
	Name                string
	Scalar, Point, Want []byte
}

// X25519s returns the vectors of RFC 7748, sections 5.2 and 6.1.
func X25519s() []X25519 {
	var (
		nine   = unhex("0900000000000000000000000000000000000000000000000000000000000000")
		alice  = unhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
		aliceP = unhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
		bob    = unhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
		bobP   = unhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
		shared = unhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
	)
	return []X25519{
		{
			"5.2 first",
			unhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
			unhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"),
			unhex("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"),
		},
		{
			"5.2 second, high bit of the point set",
			unhex("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d"),
			unhex("e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493"),
			unhex("95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"),
		},
		{"6.1 Alice's public key", alice, nine, aliceP},
		{"6.1 Bob's public key", bob, nine, bobP},
		{"6.1 Alice's shared secret", alice, bobP, shared},
		{"6.1 Bob's shared secret", bob, aliceP, shared},
	}
}

// X25519Iterated returns what RFC 7748, section 5.2, gives for k after a number of
// iterations of k, u = X25519(k, u), k that begin with the base point in both.
func X25519Iterated() map[int][]byte {
	return map[int][]byte{
		1:         unhex("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"),
		1_000:     unhex("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"),
		1_000_000: unhex("7c3911e0ab2586fd864497297e575e6f3bc601c0883c30df5f4dd2d24f665424"),
	}
}

// AEAD is a sealed message: ciphertext and tag in Sealed.
type AEAD struct {
	Name              string
	Key, Nonce, AD    []byte
	Plaintext, Sealed []byte
}

const sunscreen = "Ladies and Gentlemen of the class of '99: " +
	"If I could offer you only one tip for the future, sunscreen would be it."

// ChaCha20Poly1305 returns the vector of RFC 8439, section 2.8.2.
func ChaCha20Poly1305() AEAD {
	return AEAD{
		Name:      "RFC 8439 2.8.2",
		Key:       unhex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"),
		Nonce:     unhex("070000004041424344454647"),
		AD:        unhex("50515253c0c1c2c3c4c5c6c7"),
		Plaintext: []byte(sunscreen),
		Sealed: unhex(`
			d31a8d34648e60db7b86afbc53ef7ec2 a4aded51296e08fea9e2b5a736ee62d6
			3dbea45e8ca9671282fafb69da92728b 1a71de0a9e060b2905d6a5b67ecd3b36
			92ddbd7f2d778b8c9803aee328091b58 fab324e4fad675945585808b4831d7bc
			3ff4def08e4b7a9de576d26586cec64b 6116
			1ae10b594f09e26a7e902ecbd0600691`),
	}
}

// XChaCha20Poly1305 returns the vector of draft-irtf-cfrg-xchacha-03, A.3.1.
func XChaCha20Poly1305() AEAD {
	return AEAD{
		Name:      "draft-irtf-cfrg-xchacha A.3.1",
		Key:       unhex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"),
		Nonce:     unhex("404142434445464748494a4b4c4d4e4f5051525354555657"),
		AD:        unhex("50515253c0c1c2c3c4c5c6c7"),
		Plaintext: []byte(sunscreen),
		Sealed: unhex(`
			bd6d179d3e83d43b9576579493c0e939 572a1700252bfaccbed2902c21396cbb
			731c7f1b0b4aa6440bf3a82f4eda7e39 ae64c6708c54c216cb96b72e1213b452
			2f8c9ba40db5d945b11b69b982c1bb9e 3f3fac2bc369488f76b2383565d3fff9
			21f9664c97637da9768812f615c68b13 b52e
			c0875924c1c7987947deafd8780acf49`),
	}
}

// BLAKE2sABC returns BLAKE2s-256 of "abc", RFC 7693, appendix B.
func BLAKE2sABC() []byte {
	return unhex("508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982")
}

// LowOrder returns every encoding of the points that give an all-zero result
// with every scalar: the seven canonical and non-canonical values below 2^255
// (0, 1, the two of order eight, p-1, p, p+1), each also with the high bit set,
// which RFC 7748 section 5 says to ignore.
func LowOrder() [][32]byte {
	var points [][32]byte
	for _, s := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		p := [32]byte(unhex(s))
		points = append(points, p)
		p[31] |= 0x80
		points = append(points, p)
	}
	return points
}
