import ByteCoding
import Primitives
import TestSupport
import Testing

@Suite struct `AES-256-GCM` {
    private let cipher = AES256GCM(key: SecretBytes(copying: Array(0..<32)))
    private let nonce = [UInt8](0..<12)

    @Test func `gives what another implementation gives`() throws {
        // McGrew and Viega, test case 14: a zero key, a zero nonce, a zero block.
        let zero = AES256GCM(key: SecretBytes(copying: [UInt8](repeating: 0, count: 32)))
        #expect(
            Hex.encode(zero.seal([UInt8](repeating: 0, count: 16), nonce: [UInt8](repeating: 0, count: 12)))
                == "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919")
        #expect(
            Hex.encode(cipher.seal(Array("attack at dawn".utf8), nonce: nonce, authenticating: Array("header".utf8)))
                == "2676a27aa68ee27af961f3eac68778dfa844b858372d1284003a558b797c")
        #expect(Hex.encode(cipher.seal([], nonce: nonce)) == "f4c2db1dc38805a37b92171c5d0a81cc")
    }

    @Test func `opens only what was sealed, with the nonce and data it was sealed with`() throws {
        var generator = SeededGenerator(seed: 1)
        for size in [0, 1, 15, 16, 17, 100, 5_000] {
            let plaintext = generator.bytes(size)
            let sealed = cipher.seal(plaintext, nonce: nonce, authenticating: [1])
            #expect(sealed.count == size + AES256GCM.tagBytes)
            #expect(try cipher.open(sealed, nonce: nonce, authenticating: [1]) == plaintext)
            #expect(try cipher.open(([9] + sealed)[1...], nonce: nonce, authenticating: [1]) == plaintext)
            #expect(throws: AES256GCM.OpenError.self) { try cipher.open(sealed, nonce: nonce, authenticating: [2]) }
            #expect(throws: AES256GCM.OpenError.self) { try cipher.open(sealed, nonce: nonce) }
            #expect(throws: AES256GCM.OpenError.self) {
                try cipher.open(sealed, nonce: [UInt8](1..<13), authenticating: [1])
            }
            #expect(throws: AES256GCM.OpenError.self) {
                try cipher.open(sealed.dropLast(), nonce: nonce, authenticating: [1])
            }
        }
        let sealed = cipher.seal([1, 2, 3], nonce: nonce)
        for place in sealed.indices {
            for bit in 0..<8 {
                var altered = sealed
                altered[place] ^= 1 << bit
                #expect(throws: AES256GCM.OpenError.self) { try cipher.open(altered, nonce: nonce) }
            }
        }
        for count in 0..<16 {
            #expect(throws: AES256GCM.OpenError.self) {
                try cipher.open([UInt8](repeating: 0, count: count), nonce: nonce)
            }
        }
    }

    @Test func `a nonce of another length opens nothing`() {
        let sealed = cipher.seal([1], nonce: nonce)
        for count in [0, 1, 11] {
            #expect(throws: AES256GCM.OpenError.self) { try cipher.open(sealed, nonce: Array(nonce.prefix(count))) }
        }
    }
}
