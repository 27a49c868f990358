/// A structure with exactly one encoding in the TLS presentation language (RFC 8446 section 3).
package protocol ByteCodable {
    init(from reader: inout ByteReader) throws(ByteCodingError)
    func encode(into writer: inout ByteWriter) throws(ByteCodingError)
}

extension ByteCodable {
    /// The canonical bytes.
    package func encoded() throws(ByteCodingError) -> [UInt8] {
        var writer = ByteWriter()
        try encode(into: &writer)
        return writer.bytes
    }

    /// Reads one structure and refuses anything behind it.
    package init(decoding bytes: [UInt8]) throws(ByteCodingError) {
        var reader = ByteReader(bytes)
        self = try Self(from: &reader)
        try reader.finish()
    }

    /// Reads the structure and requires that only zeros follow.
    package init(decodingPadded bytes: [UInt8]) throws(ByteCodingError) {
        var reader = ByteReader(bytes)
        self = try Self(from: &reader)
        guard reader.rest().allSatisfy({ $0 == 0 }) else { throw .trailingBytes }
    }
}
