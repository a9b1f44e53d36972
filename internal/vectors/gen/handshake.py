#!/usr/bin/env python3
"""Known answers for the handshake, written from the papers and not from the Go code.

Everything is in this file and Python's standard library: X25519 (RFC 7748),
ChaCha20-Poly1305 (RFC 8439), XChaCha20-Poly1305 (the CFRG draft) in plain
Python; BLAKE2s and HMAC from hashlib and hmac. Each handshake is computed
twice, as initiator and as responder, and both must agree before it is printed.

    python3 gen/handshake.py handshakes > testdata/handshakes.json
    python3 gen/handshake.py blake2s    > testdata/blake2s.json

The output depends on nothing but this file. Formats: ../doc.go.
"""

import hashlib
import hmac
import json
import struct
import sys

# ---- X25519, RFC 7748 section 5 ------------------------------------------------

P = 2**255 - 19


def x25519(scalar: bytes, point: bytes) -> bytes:
    k = int.from_bytes(scalar, "little")
    k = k & ~7 & ~(128 << 8 * 31) | (64 << 8 * 31)
    x1 = (int.from_bytes(point, "little") & (2**255 - 1)) % P
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if swap != bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b = (x2 + z2) % P, (x2 - z2) % P
        aa, bb = a * a % P, b * b % P
        e = (aa - bb) % P
        da, cb = (x3 - z3) * a % P, (x3 + z3) * b % P
        x3, z3 = pow(da + cb, 2, P), x1 * pow(da - cb, 2, P) % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def public(private: bytes) -> bytes:
    return x25519(private, (9).to_bytes(32, "little"))


def dh(private: bytes, point: bytes) -> bytes:
    shared = x25519(private, point)
    assert any(shared), "low order"
    return shared


# ---- ChaCha20-Poly1305, RFC 8439, and the extended nonce ------------------------

SIGMA = struct.unpack("<4I", b"expand 32-byte k")
M32 = 0xFFFFFFFF


def rotl(v, n):
    return (v << n | v >> 32 - n) & M32


def chacha_rounds(s):
    s = list(s)

    def quarter(a, b, c, d):
        s[a] = s[a] + s[b] & M32
        s[d] = rotl(s[d] ^ s[a], 16)
        s[c] = s[c] + s[d] & M32
        s[b] = rotl(s[b] ^ s[c], 12)
        s[a] = s[a] + s[b] & M32
        s[d] = rotl(s[d] ^ s[a], 8)
        s[c] = s[c] + s[d] & M32
        s[b] = rotl(s[b] ^ s[c], 7)

    for _ in range(10):
        for i in range(4):
            quarter(i, i + 4, i + 8, i + 12)
        for i in range(4):
            quarter(i, (i + 1) % 4 + 4, (i + 2) % 4 + 8, (i + 3) % 4 + 12)
    return s


def chacha_block(key, counter, nonce):
    s = SIGMA + struct.unpack("<8I", key) + (counter,) + struct.unpack("<3I", nonce)
    return struct.pack("<16I", *(x + y & M32 for x, y in zip(s, chacha_rounds(s))))


def chacha20(key, counter, nonce, data):
    out = bytearray()
    for i in range(0, len(data), 64):
        stream = chacha_block(key, counter + i // 64, nonce)
        out += bytes(x ^ y for x, y in zip(data[i : i + 64], stream))
    return bytes(out)


def poly1305(key, data):
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    acc = 0
    for i in range(0, len(data), 16):
        acc = (acc + int.from_bytes(data[i : i + 16] + b"\1", "little")) * r % (2**130 - 5)
    return (acc + int.from_bytes(key[16:], "little") & 2**128 - 1).to_bytes(16, "little")


def pad16(b):
    return bytes(-len(b) % 16)


def aead_nonce(key, nonce, plaintext, ad):
    c = chacha20(key, 1, nonce, plaintext)
    mac_data = ad + pad16(ad) + c + pad16(c) + struct.pack("<QQ", len(ad), len(c))
    return c + poly1305(chacha_block(key, 0, nonce)[:32], mac_data)


def aead(key, counter, plaintext, ad):
    return aead_nonce(key, bytes(4) + struct.pack("<Q", counter), plaintext, ad)


def xaead(key, nonce, plaintext, ad):
    s = chacha_rounds(SIGMA + struct.unpack("<8I", key) + struct.unpack("<4I", nonce[:16]))
    subkey = struct.pack("<8I", *(s[:4] + s[12:]))
    return aead_nonce(subkey, bytes(4) + nonce[16:], plaintext, ad)


# ---- BLAKE2s, HMAC, KDF ---------------------------------------------------------


def HASH(b):
    return hashlib.blake2s(b).digest()


def MAC(key, b):
    return hashlib.blake2s(b, key=key, digest_size=16).digest()


def HMAC(key, b):
    return hmac.new(key, b, hashlib.blake2s).digest()


def KDF(n, key, data):
    t0, out = HMAC(key, data), [b""]
    for i in range(n):
        out.append(HMAC(t0, out[-1] + bytes([i + 1])))
    return out[1:]


# ---- The handshake, paper section 5.4 -------------------------------------------

C0 = HASH(b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s")
H0 = HASH(C0 + b"WireGuard v1 zx2c4 Jason@zx2c4.com")


def u32(n):
    return struct.pack("<I", n)


def header(kind):
    return bytes([kind, 0, 0, 0])


def mac1(receiver_public, message):
    return MAC(HASH(b"mac1----" + receiver_public), message)


def handshake(si, ei, sr, er, psk, stamp, index_i, index_r):
    """Returns initiation, response and keys, with every DH from both sides."""
    pub_si, pub_ei, pub_sr, pub_er = map(public, (si, ei, sr, er))

    def agree(a, b):
        one, two = dh(a, public(b)), dh(b, public(a))
        assert one == two
        return one

    # 5.4.2
    c, h = C0, HASH(H0 + pub_sr)
    (c,) = KDF(1, c, pub_ei)
    h = HASH(h + pub_ei)
    c, k = KDF(2, c, agree(ei, sr))
    static = aead(k, 0, pub_si, h)
    h = HASH(h + static)
    c, k = KDF(2, c, agree(si, sr))
    timestamp = aead(k, 0, stamp, h)
    h = HASH(h + timestamp)
    m = header(1) + u32(index_i) + pub_ei + static + timestamp
    initiation = m + mac1(pub_sr, m) + bytes(16)

    # 5.4.3
    (c,) = KDF(1, c, pub_er)
    h = HASH(h + pub_er)
    (c,) = KDF(1, c, agree(er, ei))
    (c,) = KDF(1, c, agree(er, si))
    c, tau, k = KDF(3, c, psk or bytes(32))
    h = HASH(h + tau)
    empty = aead(k, 0, b"", h)
    m = header(2) + u32(index_r) + u32(index_i) + pub_er + empty
    response = m + mac1(pub_si, m) + bytes(16)

    # 5.4.5
    t1, t2 = KDF(2, c, b"")
    return initiation, response, t1, t2


def transport(key, receiver, counter, plaintext):
    return header(4) + u32(receiver) + struct.pack("<Q", counter) + aead(key, counter, plaintext, b"")


def cookie(receiver_private, message, secret, nonce, address, port):
    """The reply of receiver to message, and the mac2 it makes possible."""
    value = MAC(secret, address + struct.pack(">H", port))
    key = HASH(b"cookie--" + public(receiver_private))
    sealed = xaead(key, nonce, value, message[-32:-16])
    return {
        "secret": secret.hex(),
        "source": text_address(address, port),
        "nonce": nonce.hex(),
        "value": value.hex(),
        "reply": (header(3) + message[4:8] + nonce + sealed).hex(),
        "mac2": MAC(value, message[:-16]).hex(),
    }


def text_address(address, port):
    if len(address) == 4:
        return ".".join(map(str, address)) + ":%d" % port
    return "[" + ":".join("%x" % w for w in struct.unpack(">8H", address)) + "]:%d" % port


# ---- Checks and output ----------------------------------------------------------


def self_check():
    """The primitives above against published values."""
    a = bytes.fromhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")
    u = bytes.fromhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")
    assert x25519(a, u).hex() == "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
    key = bytes(range(0x80, 0xA0))
    nonce = bytes.fromhex("070000004041424344454647")
    ad = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
    text = (b"Ladies and Gentlemen of the class of '99: If I could offer you "
            b"only one tip for the future, sunscreen would be it.")
    assert aead_nonce(key, nonce, text, ad)[-16:].hex() == "1ae10b594f09e26a7e902ecbd0600691"
    xnonce = bytes(range(0x40, 0x58))
    assert xaead(key, xnonce, text, ad)[-16:].hex() == "c0875924c1c7987947deafd8780acf49"
    assert HASH(b"abc").hex() == "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982"


class Stream:
    """Bytes that look random and are the same every time."""

    def __init__(self, label):
        self.label, self.n = label.encode(), 0

    def bytes(self, size):
        out = b""
        while len(out) < size:
            out += HASH(self.label + struct.pack("<Q", self.n))
            self.n += 1
        return out[:size]

    def number(self, below):
        return int.from_bytes(self.bytes(8), "little") % below


INDICES = [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
COUNT = 200


def one(n):
    r = Stream("warren handshake %d " % n)
    si, ei, sr, er = (r.bytes(32) for _ in range(4))  # not clamped, on purpose
    psk = [b"", r.bytes(32)][n % 2]
    if n % 20 == 7:
        psk = bytes(32)  # a preshared key of zeros is the same as none
    seconds = 2**62 + 10 + 1_700_000_000 + r.number(10**9)
    stamp = struct.pack(">QI", seconds, r.number(10**9) & ~0xFFFFFF)
    index_i = INDICES[n % 5] if n < 25 else r.number(2**32)
    index_r = INDICES[n // 5] if n < 25 else r.number(2**32)
    initiation, response, t1, t2 = handshake(si, ei, sr, er, psk, stamp, index_i, index_r)

    payload = r.bytes(16 * r.number(6) if n % 3 else r.number(90))
    counter = [0, 1, 2**32, 2**60, 2**64 - 8131][n % 5]
    size = 4 if n % 2 else 16
    return {
        "name": "%03d %s" % (n, "psk" if any(psk) else "no psk"),
        "initiator": {"private": si.hex(), "public": public(si).hex(), "ephemeral": ei.hex(), "index": index_i},
        "responder": {"private": sr.hex(), "public": public(sr).hex(), "ephemeral": er.hex(), "index": index_r},
        "preshared": psk.hex(),
        "timestamp": stamp.hex(),
        "initiation": initiation.hex(),
        "response": response.hex(),
        "initiator_send": t1.hex(),
        "initiator_receive": t2.hex(),
        "payload": payload.hex(),
        "first": transport(t1, index_r, 0, payload).hex(),
        "answer_counter": str(counter),
        "answer": transport(t2, index_i, counter, payload).hex(),
        "initiation_cookie": cookie(sr, initiation, r.bytes(32), r.bytes(24), r.bytes(size), r.number(65536)),
        "response_cookie": cookie(si, response, r.bytes(32), r.bytes(24), r.bytes(20 - size), r.number(65536)),
    }


def blake2s_cases():
    for n in range(160):
        r = Stream("warren blake2s %d " % n)
        key, data, chain = r.bytes(32), r.bytes(n), r.bytes(32)
        short = data[:33]
        yield {
            "key": key.hex(),
            "data": data.hex(),
            "hash": HASH(data).hex(),
            "mac": MAC(key, data).hex(),
            "mac16": MAC(key[:16], data).hex(),
            "chain": chain.hex(),
            "hmac33": HMAC(chain, short).hex(),
            "kdf": [t.hex() for t in KDF(3, chain, short)],
        }


def main():
    self_check()
    what = sys.argv[1] if len(sys.argv) == 2 else ""
    if what == "handshakes":
        cases = (one(n) for n in range(COUNT))
    elif what == "blake2s":
        cases = blake2s_cases()
    else:
        sys.exit(__doc__)
    lines = [json.dumps(c, separators=(",", ":")) for c in cases]
    print("[\n" + ",\n".join(lines) + "\n]")


main()
