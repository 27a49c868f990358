/// Reads structures of the TLS presentation language (RFC 8446 section 3) from bytes that nobody has vouched for.
///
/// Every read checks the bounds first; a read that throws leaves the reader where it was or further on, never past
/// the end. Numbers are big-endian.
package struct ByteReader {
    private let bytes: ArraySlice<UInt8>
    private var position: Int

    package init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        self.position = bytes.startIndex
    }

    package init(_ bytes: [UInt8]) {
        self.init(bytes[...])
    }

    /// How many bytes are left.
    package var remaining: Int { bytes.endIndex - position }

    /// `opaque x[count]`
    package mutating func fixed(_ count: Int) throws(ByteCodingError) -> [UInt8] {
        [UInt8](try slice(count))
    }

    package mutating func uint8() throws(ByteCodingError) -> UInt8 { try integer() }
    package mutating func uint16() throws(ByteCodingError) -> UInt16 { try integer() }
    package mutating func uint32() throws(ByteCodingError) -> UInt32 { try integer() }
    package mutating func uint64() throws(ByteCodingError) -> UInt64 { try integer() }

    /// `opaque x<limits>` with a length prefix of 1, 2, 3 or 4 bytes, as `limits.upperBound` asks for.
    package mutating func vector(_ limits: ClosedRange<Int>) throws(ByteCodingError) -> [UInt8] {
        [UInt8](try slice(try vectorLength(limits)))
    }

    /// A vector of structures, `T x<limits>`: the limits count bytes, as in RFC 8446 section 3.4.
    package mutating func list<Element>(
        _ limits: ClosedRange<Int>, _ element: (inout ByteReader) throws(ByteCodingError) -> Element
    ) throws(ByteCodingError) -> [Element] {
        var inner = ByteReader(try slice(try vectorLength(limits)))
        var elements: [Element] = []
        while inner.remaining > 0 {
            elements.append(try element(&inner))
        }
        return elements
    }

    /// A vector of structures that know how to read themselves.
    package mutating func list<Element: ByteCodable>(
        of _: Element.Type = Element.self, _ limits: ClosedRange<Int>
    ) throws(ByteCodingError) -> [Element] {
        try list(limits) { reader throws(ByteCodingError) in try Element(from: &reader) }
    }

    /// UTF-8 text in a vector; invalid UTF-8 is refused rather than repaired.
    package mutating func text(_ limits: ClosedRange<Int>) throws(ByteCodingError) -> String {
        let bytes = try vector(limits)
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .invalidText }
        return text
    }

    /// `optional<T>`: one byte 0 or 1, then the value if 1 (RFC 9420 section 2.1.1).
    package mutating func optional<Value>(
        _ value: (inout ByteReader) throws(ByteCodingError) -> Value
    ) throws(ByteCodingError) -> Value? {
        switch try uint8() {
        case 0: return nil
        case 1: return try value(&self)
        default: throw .invalidValue
        }
    }

    /// A value together with the bytes that it was read from.
    package mutating func withBytes<Value: ByteCodable>(
        _: Value.Type = Value.self
    ) throws(ByteCodingError) -> (value: Value, bytes: ArraySlice<UInt8>) {
        let start = position
        let value = try Value(from: &self)
        return (value, bytes[start..<position])
    }

    /// All the bytes that are left.
    package mutating func rest() -> ArraySlice<UInt8> {
        defer { position = bytes.endIndex }
        return bytes[position...]
    }

    /// Requires that nothing is left: what is signed has one encoding only.
    package func finish() throws(ByteCodingError) {
        guard remaining == 0 else { throw .trailingBytes }
    }

    private mutating func slice(_ count: Int) throws(ByteCodingError) -> ArraySlice<UInt8> {
        guard count >= 0, count <= remaining else { throw .truncated }
        defer { position += count }
        return bytes[position..<position + count]
    }

    private mutating func vectorLength(_ limits: ClosedRange<Int>) throws(ByteCodingError) -> Int {
        var length = 0
        for byte in try slice(lengthPrefixBytes(limits.upperBound)) {
            length = length << 8 | Int(byte)
        }
        guard limits.contains(length) else { throw .lengthOutOfRange }
        return length
    }

    private mutating func integer<Value: FixedWidthInteger>() throws(ByteCodingError) -> Value {
        var value: Value = 0
        for byte in try slice(MemoryLayout<Value>.size) {
            value = value << 8 | Value(byte)
        }
        return value
    }
}

/// The number of bytes in the length prefix of a vector (RFC 8446 section 3.4): as many as its ceiling needs.
func lengthPrefixBytes(_ ceiling: Int) -> Int {
    switch ceiling {
    case ...0xff: 1
    case ...0xffff: 2
    case ...0xff_ffff: 3
    default: 4
    }
}
