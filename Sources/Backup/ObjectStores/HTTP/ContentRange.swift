package import BackupEngine
import BackupFormat

/// `bytes 0-9/100` (RFC 9110, section 14.4).
package struct ContentRange: Equatable, Sendable {
    package let range: Range<Int>
    /// Of the whole object; nil if it is not said.
    package let total: Int?

    package init?(_ text: String) {
        guard text.hasPrefix("bytes ") else { return nil }
        let parts = text.dropFirst("bytes ".count).split(separator: "/")
        let ends = (parts.first ?? "").split(separator: "-")
        guard parts.count == 2, ends.count == 2, let first = Int(ends[0]), let last = Int(ends[1]), first >= 0,
            first <= last, last < .max
        else { return nil }
        range = first..<last + 1
        total = parts[1] == "*" ? nil : Int(parts[1])
        guard total != nil || parts[1] == "*" else { return nil }
    }

    /// The header that asks for a range, which is not empty.
    package static func asking(for range: Range<Int>) -> (name: String, value: String) {
        ("range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)")
    }
}

extension StoreAnswer {
    /// A full answer to a request for a part is cut to size up to here: parts are asked for of packs alone.
    package static let slicedBytesMax = ObjectCipher.objectBytes(plaintextBytes: packBytesMax)

    package var contentRange: ContentRange? { header("content-range").flatMap(ContentRange.init) }

    /// Whether less came than was asked for although the object goes on: that says nothing of the object.
    package func breaksOff(in range: Range<Int>) -> Bool {
        guard let given = contentRange else { return false }
        return given.range.upperBound < range.upperBound && (given.total ?? .max) > given.range.upperBound
    }

    /// The bytes of a range from the answer to a request for it: a part, or, from servers that give no parts, all of a small object.
    ///
    /// - Parameter path: of the object, for errors.
    package func part(_ range: Range<Int>, of path: String) throws(ObjectStoreError) -> [UInt8] {
        guard let given = contentRange else {
            guard status != 206 else { throw .failed("\(path): it is not said which part was sent") }
            guard body.count >= range.upperBound else { throw .truncated(path) }
            return Array(body[range])
        }
        guard given.range.lowerBound == range.lowerBound, given.range.count == body.count else {
            throw .failed("\(path): another part was sent than was asked for")
        }
        guard !breaksOff(in: range) else { throw .failed("\(path): a shorter part was sent than was asked for") }
        guard given.range.upperBound >= range.upperBound else { throw .truncated(path) }
        return given.range == range ? body : Array(body[..<range.count])
    }

    /// As `part`, into the memory that was lent for it, where the transport may have written it already.
    package func part(into lent: LentMemory, of path: String) throws(ObjectStoreError) {
        guard lentBytes > 0 else { return lent.bytes.copyBytes(from: try part(lent.range, of: path)) }
        guard lentBytes == lent.bytes.count else {
            throw .failed("\(path): another part was sent than was asked for")
        }
    }
}
