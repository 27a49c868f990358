/// What is said of one of WhatsApp's files under one key (Specs/crypt15.md, section 3). The names are stable.
package enum Verdict: String, Sendable, CaseIterable {
    /// Tag and trailer are right.
    case ok
    /// The tag is right; the file has no MD5 trailer, as some have none.
    case okNoTrailer = "ok-no-trailer"
    /// The tag is right, so every byte of the content is; the header or the trailer is not what was written.
    case okPayloadHeaderOrTrailerAltered = "ok-payload-header-or-trailer-altered"
    /// The trailer is right and the tag is not: the file is in one piece, and this key does not open it.
    case wrongKey = "wrong-key"
    /// Neither is right.
    case damagedOrWrongKey = "damaged-or-wrong-key"
    /// It ends too early.
    case truncated
    case notABackup = "not-a-backup"
    /// A file of crypt12 or crypt14, which other keys open.
    case olderFormat = "older-format"

    /// Whether every byte of the content is as it was sealed.
    package var isProven: Bool {
        switch self {
        case .ok, .okNoTrailer, .okPayloadHeaderOrTrailerAltered: true
        default: false
        }
    }
}

/// The formats before crypt15.
package enum OlderFormat: String, Sendable {
    case crypt12
    case crypt14
}

/// Why a file is no backup.
package enum NotABackup: Error, Equatable, Sendable {
    case empty
    /// The length of the header is 0, over 65,536, or no number.
    case headerLength
    /// The header is no message of fields.
    case headerFields
    /// There is a header, and in it no nonce of 16 bytes.
    case noNonce
    /// It is another kind of file, in the clear.
    case otherFile(ContentKind)
}
