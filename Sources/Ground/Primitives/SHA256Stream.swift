import Crypto

/// SHA-256 (FIPS 180-4) in pieces.
package struct SHA256Stream: Sendable {
    private var hash = SHA256()

    package init() {}

    package mutating func update(_ bytes: UnsafeRawBufferPointer) { hash.update(bufferPointer: bytes) }

    /// The digest of everything until here, 32 bytes; more may follow.
    package func digest() -> [UInt8] { hash.finalize().array }
}
