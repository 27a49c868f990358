import ByteCoding
import Primitives
import TestSupport
import Testing

@Suite struct `Ed25519 signatures` {
    /// RFC 8032 section 7.1, test 2.
    @Test func `signs as RFC 8032 does`() throws {
        let key = SigningKey(
            seed: SecretBytes(
                copying: try Hex.decode("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")))
        #expect(key.verifyingKey.hex == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
        let signature = key.sign([0x72])
        #expect(
            signature.hex
                == "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                + "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00")
        #expect(key.verifyingKey.isValid(signature, over: [0x72]))
        #expect(!key.verifyingKey.isValid(signature, over: [0x73]))
    }

    @Test func `a key of small order verifies nothing`() throws {
        let weak = VerifyingKey(uncheckedBytes: [1] + [UInt8](repeating: 0, count: 31))
        // R = identity, s = 0: verifies over everything without the strict check.
        let signature = try Signature([1] + [UInt8](repeating: 0, count: 63))
        #expect(!weak.isValid(signature, over: [1, 2, 3]))
    }
}

@Suite struct `Stretching with Argon2id` {
    /// From the reference implementation: `argon2 somesaltsomesalt -id -t 2 -k 65536 -p 1` over "password".
    @Test func `agrees with the reference implementation`() throws {
        let derived = try Argon2id.derive(
            SecretBytes(copying: Array("password".utf8)), salt: Array("somesaltsomesalt".utf8), memoryKiB: 65_536,
            passes: 2, count: 32)
        #expect(
            Hex.encode(derived.withBytes { Array($0) })
                == "fc33b78139231d34b71626bd6245c1d72efa190ad605c3d8166a72adcedfa2c2")
    }

    @Test func `memory that nobody has is an error`() {
        #expect(throws: Argon2id.MemoryUnavailable.self) {
            try Argon2id.derive(
                SecretBytes(copying: [1]), salt: [UInt8](repeating: 0, count: 16), memoryKiB: 7, passes: 1, count: 32)
        }
    }
}

@Suite struct `XChaCha20-Poly1305` {
    /// draft-irtf-cfrg-xchacha-03 appendix A.3.1.
    @Test func `seals as the draft does, and opens nothing else`() throws {
        let key = XChaCha20Poly1305(key: SecretBytes(copying: Array(0x80...0x9f)))
        let nonce = [UInt8](0x40...0x57)
        let data = try Hex.decode("50515253c0c1c2c3c4c5c6c7")
        let plaintext = Array(
            ("Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
                + "sunscreen would be it.").utf8)
        let sealed = key.seal(plaintext, nonce: nonce, authenticating: data)
        #expect(Hex.encode(sealed.suffix(16)) == "c0875924c1c7987947deafd8780acf49")
        #expect(Hex.encode(sealed.prefix(16)) == "bd6d179d3e83d43b9576579493c0e939")
        #expect(try key.open(sealed, nonce: nonce, authenticating: data) == plaintext)
        for position in [0, plaintext.count, sealed.count - 1] {
            var altered = sealed
            altered[position] ^= 1
            #expect(throws: XChaCha20Poly1305.OpenError.self) {
                try key.open(altered, nonce: nonce, authenticating: data)
            }
        }
        #expect(throws: XChaCha20Poly1305.OpenError.self) { try key.open(sealed, nonce: nonce) }
        #expect(throws: XChaCha20Poly1305.OpenError.self) { try key.open([1, 2], nonce: nonce) }
    }
}

@Suite struct `HPKE with X-Wing` {
    let key: HybridHPKE.PrivateKey

    init() {
        var generator = SeededGenerator(seed: 5)
        key = HybridHPKE.PrivateKey(seed: .random(32, using: &generator))
    }

    @Test func `what is sealed opens, and both sides export the same secret`() throws {
        let sealed = try HybridHPKE.seal([1, 2, 3], to: key.publicKey, info: [9], exportLabel: [8])
        #expect(key.publicKey.count == HybridHPKE.publicKeyBytes)
        #expect(sealed.encapsulated.count == HybridHPKE.encapsulatedBytes)
        let opened = try key.open(sealed.ciphertext, encapsulated: sealed.encapsulated, info: [9], exportLabel: [8])
        #expect(opened.plaintext == [1, 2, 3])
        #expect(opened.exported.isEqual(to: sealed.exported))
    }

    @Test func `another info, another key or altered bytes do not open`() throws {
        let sealed = try HybridHPKE.seal([1, 2, 3], to: key.publicKey, info: [9], exportLabel: [8])
        #expect(throws: HybridHPKE.Failure.self) {
            _ = try key.open(sealed.ciphertext, encapsulated: sealed.encapsulated, info: [], exportLabel: [8])
        }
        let other = HybridHPKE.PrivateKey(seed: SecretBytes(copying: [UInt8](repeating: 7, count: 32)))
        #expect(throws: HybridHPKE.Failure.self) {
            _ = try other.open(sealed.ciphertext, encapsulated: sealed.encapsulated, info: [9], exportLabel: [8])
        }
        #expect(throws: HybridHPKE.Failure.self) {
            _ = try key.open(sealed.ciphertext, encapsulated: [1, 2], info: [9], exportLabel: [8])
        }
        #expect(throws: HybridHPKE.Failure.self) {
            _ = try HybridHPKE.seal([1], to: [1, 2, 3], info: [], exportLabel: [])
        }
    }
}
