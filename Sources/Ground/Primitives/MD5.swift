import Crypto

/// MD5 (RFC 1321) in pieces: a checksum against accidents that WhatsApp's files carry. It proves nothing to anybody.
package struct MD5: Sendable {
    package static let digestBytes = 16
    private var hash = Insecure.MD5()

    package init() {}

    package mutating func update(_ bytes: UnsafeRawBufferPointer) { hash.update(bufferPointer: bytes) }

    package mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { update($0) } }

    /// The digest of everything until here; more may follow.
    package func digest() -> [UInt8] { hash.finalize().array }
}
