/// What a backup holds, by its first bytes.
package enum ContentKind: String, Sendable {
    case sqlite
    case zip
    case json
    case webp
    /// Something else, kept as it is.
    case other
    case empty

    /// As many bytes as decide.
    static let headBytes = 16
    private static let sqliteMagic = Array("SQLite format 3\0".utf8)

    init(head: [UInt8]) {
        self =
            if head.isEmpty { .empty } else { Self.inTheClear(head) ?? (Self.looksLikeJSON(head) ? .json : .other) }
    }

    /// The kinds that a few bytes prove.
    static func inTheClear(_ head: [UInt8]) -> ContentKind? {
        if head.starts(with: sqliteMagic) { return .sqlite }
        if head.starts(with: [0x50, 0x4b, 0x03, 0x04]) || head.starts(with: [0x50, 0x4b, 0x05, 0x06]) { return .zip }
        if head.starts(with: Array("RIFF".utf8)), head.dropFirst(8).starts(with: Array("WEBP".utf8)) { return .webp }
        return nil
    }

    private static func looksLikeJSON(_ head: [UInt8]) -> Bool {
        let text = head.drop { [0x20, 0x09, 0x0a, 0x0d].contains($0) }
        guard let first = text.first, first == UInt8(ascii: "{") || first == UInt8(ascii: "[") else { return false }
        return text.allSatisfy { $0 >= 0x20 || [0x09, 0x0a, 0x0d].contains($0) }
    }
}
