import ByteCoding
import Primitives
import Testing

@Suite struct `Digests` {
    private let hkdf = "832390086cda71fb47625bb5ceb168e4c8e26a1a16ed34d9fc7fe92c1481579338da362cb8d9f925d7cb"

    @Test func `SHA-2 of abc is FIPS 180-4's`() {
        #expect(
            Hex.encode(sha256(Array("abc".utf8))) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            Hex.encode(sha512("abc".utf8))
                == "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                + "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f")
    }

    @Test func `HMAC-SHA256 is RFC 4231's, test cases 1, 2 and 6, in both forms`() {
        for (key, text, code) in [
            (
                [UInt8](repeating: 0x0b, count: 20), "Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
            ),
            (
                Array("Jefe".utf8), "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
            ),
            (
                [UInt8](repeating: 0xaa, count: 131), "Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
            ),
        ] {
            let key = SecretBytes(copying: key)
            #expect(Hex.encode(hmacSHA256(Array(text.utf8), key: key)) == code)
            #expect(Hex.encode(Array(text.utf8).withUnsafeBytes { hmacSHA256($0, key: key) }) == code)
        }
    }

    /// RFC 2104, section 2, for keys of at most a block.
    private func hmac(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
        let block = key + [UInt8](repeating: 0, count: 64 - key.count)
        return sha256(block.map { $0 ^ 0x5c } + sha256(block.map { $0 ^ 0x36 } + message))
    }

    @Test func `HMAC-SHA256 is the same for short messages and for long ones`() {
        let key = Array<UInt8>(0..<32)
        let secret = SecretBytes(copying: key)
        for count in [0, 1, 63, 64, 255, 256, 257, 4096] {
            let message = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            #expect(hmacSHA256(message, key: secret) == hmac(message, key: key), "\(count) bytes")
        }
    }

    @Test func `HKDF-SHA512 gives what another implementation gives, to any length`() {
        let input = SecretBytes(copying: [UInt8](repeating: 0x0b, count: 22))
        let full = hkdfSHA512(input, salt: Array(0..<13), info: Array(0xf0..<0xfa), count: 42)
        #expect(full.withBytes { Hex.encode($0) } == hkdf)
        for count in [1, 32, 41] {
            let short = hkdfSHA512(input, salt: Array(0..<13), info: Array(0xf0..<0xfa), count: count)
            #expect(short.withBytes { Hex.encode($0) } == hkdf.prefix(count * 2))
        }
    }
}
