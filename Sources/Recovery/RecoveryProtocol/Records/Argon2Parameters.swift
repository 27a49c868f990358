package import ByteCoding

/// What Argon2id costs. One lane always.
package struct Argon2Parameters: ByteCodable, Hashable, Sendable {
    package let memoryKiB: UInt32
    package let passes: UInt32

    package init(memoryKiB: UInt32, passes: UInt32) {
        self.memoryKiB = memoryKiB
        self.passes = passes
    }

    package static let standard = Argon2Parameters(memoryKiB: 64 * 1024, passes: 3)

    /// What a client accepts from a record that vaults hand it. Below the floor a liar would make guessing cheap;
    /// above the ceiling, make recovery impossible.
    package static let memoryKiBAccepted: ClosedRange<UInt32> = 19 * 1024...1024 * 1024
    package static let passesAccepted: ClosedRange<UInt32> = 2...10

    /// What the function itself can compute (RFC 9106 section 3.1), which is all that a record must keep to.
    package static let memoryKiBPossible: ClosedRange<UInt32> = 8...4 * 1024 * 1024
    package static let passesPossible: ClosedRange<UInt32> = 1...1024

    package var isAcceptable: Bool {
        Self.memoryKiBAccepted.contains(memoryKiB) && Self.passesAccepted.contains(passes)
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        memoryKiB = try reader.uint32()
        passes = try reader.uint32()
        guard Self.memoryKiBPossible.contains(memoryKiB), Self.passesPossible.contains(passes) else {
            throw .invalidValue
        }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint32(memoryKiB)
        writer.uint32(passes)
    }
}
