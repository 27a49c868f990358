/// A public value of a fixed number of bytes: an id, a digest, a public key. Secrets are not `FixedBytes`; they are
/// `SecretBytes`.
///
/// A conforming type declares `byteCount` and `bytes`; reading, writing, hexadecimal text and equality come from here.
package protocol FixedBytes: ByteCodable, Hashable, Sendable, CustomStringConvertible {
    static var byteCount: Int { get }
    var bytes: [UInt8] { get }
    /// For this protocol's own use; the caller has checked the count.
    init(uncheckedBytes: [UInt8])
}

extension FixedBytes {
    /// Refuses another number of bytes.
    package init(_ bytes: some Collection<UInt8>) throws(ByteCodingError) {
        guard bytes.count == Self.byteCount else { throw .lengthOutOfRange }
        self.init(uncheckedBytes: Array(bytes))
    }

    package init(hex: some StringProtocol) throws(ByteCodingError) {
        try self.init(try Hex.decode(hex))
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        self.init(uncheckedBytes: try reader.fixed(Self.byteCount))
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try writer.fixed(bytes, count: Self.byteCount)
    }

    package var hex: String { Hex.encode(bytes) }
    package var description: String { hex }
}
