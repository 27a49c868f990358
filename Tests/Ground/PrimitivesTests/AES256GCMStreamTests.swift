import Primitives
import Testing

@Suite struct `AES-256-GCM in pieces` {
    private let key = SecretBytes(copying: [UInt8](0..<32))
    private let nonce = [UInt8](repeating: 7, count: 16)

    @Test func `beyond what one nonce allows gives zeros, and no tag`() throws {
        let cipher = try AES256GCMStream(key: key, nonce: nonce, .encrypt, bytesMax: 100)
        let secret = [UInt8](repeating: 0x53, count: 60)
        #expect(cipher.update(secret) != secret && !cipher.hasFailed)
        #expect(cipher.update(secret) == [UInt8](repeating: 0, count: 60))
        #expect(cipher.hasFailed)
        // Less would fit, but what came before is missing.
        #expect(cipher.update(secret[..<10]) == [UInt8](repeating: 0, count: 10))
        #expect(cipher.copy().update(secret[..<10]) == [UInt8](repeating: 0, count: 10))
        #expect(cipher.tag() == nil)
    }

    @Test func `up to what one nonce allows is whole`() throws {
        let cipher = try AES256GCMStream(key: key, nonce: nonce, .encrypt, bytesMax: 100)
        let sealed = cipher.update([UInt8](repeating: 0x53, count: 100))
        let tag = try #require(cipher.tag())
        let short = try AES256GCMStream(key: key, nonce: nonce, .decrypt, bytesMax: 99)
        #expect(short.update(sealed) == [UInt8](repeating: 0, count: 100) && !short.verify(tag: tag))
        let long = try AES256GCMStream(key: key, nonce: nonce, .decrypt)
        #expect(long.update(sealed) == [UInt8](repeating: 0x53, count: 100) && long.verify(tag: tag))
    }
}
