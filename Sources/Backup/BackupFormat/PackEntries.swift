package import ByteCoding

/// The entries of a pack as they are encoded (section 5): 49 bytes each, where a value of its own for each would take
/// several times as much, and a store has an entry for nearly every file.
package struct PackEntries: Sequence, Equatable, Sendable {
    /// One entry after the other, each of them valid.
    package private(set) var bytes: [UInt8] = []

    package init() {}

    package init(_ entries: some Sequence<PackEntry>) throws(ByteCodingError) {
        for entry in entries { try append(entry) }
    }

    package init(decoding bytes: [UInt8]) throws(ByteCodingError) {
        var reader = ByteReader(bytes)
        while reader.remaining > 0 { _ = try PackEntry(from: &reader) }
        self.bytes = bytes
    }

    package var count: Int { bytes.count / PackEntry.encodedBytes }

    package mutating func append(_ entry: PackEntry) throws(ByteCodingError) {
        var writer = ByteWriter(capacity: PackEntry.encodedBytes)
        try entry.encode(into: &writer)
        bytes += writer.bytes
    }

    package func makeIterator() -> Iterator { Iterator(reader: ByteReader(bytes)) }

    package struct Iterator: IteratorProtocol {
        fileprivate var reader: ByteReader

        /// What is here was decoded before, or encoded.
        package mutating func next() -> PackEntry? { reader.remaining > 0 ? try? PackEntry(from: &reader) : nil }
    }
}
