/// Writes structures of the TLS presentation language (RFC 8446 section 3): one encoding for each value, so that what
/// is sent is what is signed.
package struct ByteWriter {
    package private(set) var bytes: [UInt8]

    package init(capacity: Int = 0) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    /// `opaque x[count]`; refuses another count.
    package mutating func fixed(_ value: some Collection<UInt8>, count: Int) throws(ByteCodingError) {
        guard value.count == count else { throw .lengthOutOfRange }
        bytes.append(contentsOf: value)
    }

    package mutating func uint8(_ value: UInt8) { bytes.append(value) }
    package mutating func uint16(_ value: UInt16) { integer(value) }
    package mutating func uint32(_ value: UInt32) { integer(value) }
    package mutating func uint64(_ value: UInt64) { integer(value) }

    /// `opaque x<limits>`
    package mutating func vector(
        _ value: some Collection<UInt8>, _ limits: ClosedRange<Int>
    ) throws(ByteCodingError) {
        guard limits.contains(value.count) else { throw .lengthOutOfRange }
        vectorLength(value.count, limits)
        bytes.append(contentsOf: value)
    }

    /// `T x<limits>`: the limits count bytes.
    package mutating func list<Element>(
        _ elements: [Element], _ limits: ClosedRange<Int>,
        _ encode: (Element, inout ByteWriter) throws(ByteCodingError) -> Void
    ) throws(ByteCodingError) {
        var inner = ByteWriter()
        for element in elements {
            try encode(element, &inner)
        }
        try vector(inner.bytes, limits)
    }

    /// A vector of structures that know how to write themselves.
    package mutating func list(
        _ elements: [some ByteCodable], _ limits: ClosedRange<Int>
    ) throws(ByteCodingError) {
        try list(elements, limits) { element, writer throws(ByteCodingError) in try element.encode(into: &writer) }
    }

    package mutating func text(_ value: String, _ limits: ClosedRange<Int>) throws(ByteCodingError) {
        try vector([UInt8](value.utf8), limits)
    }

    /// `optional<T>` (RFC 9420 section 2.1.1)
    package mutating func optional<Value>(
        _ value: Value?, _ encode: (Value, inout ByteWriter) throws(ByteCodingError) -> Void
    ) throws(ByteCodingError) {
        guard let value else { return uint8(0) }
        uint8(1)
        try encode(value, &self)
    }

    /// Padding.
    package mutating func zeros(_ count: Int) {
        // Byte by byte through a sequence's protocol two thousand of them cost more than sealing them.
        bytes.append(contentsOf: [UInt8](repeating: 0, count: count))
    }

    /// Bytes whose length the reader knows otherwise.
    package mutating func raw(_ value: some Sequence<UInt8>) {
        bytes.append(contentsOf: value)
    }

    private mutating func vectorLength(_ count: Int, _ limits: ClosedRange<Int>) {
        let prefix = lengthPrefixBytes(limits.upperBound)
        for shift in stride(from: (prefix - 1) * 8, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: count >> shift))
        }
    }

    private mutating func integer(_ value: some FixedWidthInteger & UnsignedInteger) {
        for shift in stride(from: value.bitWidth - 8, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }
}
