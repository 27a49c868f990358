import ByteCoding

/// The clear head of a `.crypt15` (Specs/crypt15.md, section 2), kept byte by byte.
///
/// Nothing authenticates it: whoever has the file can change it, and its MD5 with it.
package struct BackupHeader: Equatable, Sendable {
    package static let nonceBytes = 16
    /// Of the message; the number before it takes up to 3 bytes.
    package static let messageBytesMax = 65_536

    /// The length and the message, as they stand in the file.
    package let bytes: [UInt8]
    /// Where the nonce lies in them: the last one, if there are several.
    package let nonceRange: Range<Int>
    package let claims: HeaderClaims
    /// How many nonces it has: all but one is an oddity that no copy should be made of.
    package let nonceCount: Int

    package var nonce: [UInt8] { Array(bytes[nonceRange]) }

    /// The same header with another nonce; every other byte stays.
    package func withNonce(_ nonce: [UInt8]) -> [UInt8] {
        precondition(nonce.count == Self.nonceBytes, "a nonce has 16 bytes")
        var spliced = bytes
        spliced.replaceSubrange(nonceRange, with: nonce)
        return spliced
    }
}

/// What the header says of the file. Anyone may have written it.
package struct HeaderClaims: Equatable, Sendable {
    /// Which key opens the backup on WhatsApp's side (field 6).
    package enum KeyType: Equatable, Sendable {
        case password
        case digits
        case passkey
        case other(UInt64)
    }

    package var appVersion: String?
    package var deviceModel: String?
    /// The last two digits of the phone's number.
    package var phoneSuffix: String?
    package var backupVersion: UInt64?
    package var keyType: KeyType?
    package var contentBytes: UInt64?
    package var hasPasskey = false
}

/// What the first bytes of a file turn out to be.
package enum HeaderReading: Equatable, Sendable {
    /// More bytes are needed; `isPlausible` if those that are there look like a header's.
    case needsMore(isPlausible: Bool)
    case header(BackupHeader)
    case older(OlderFormat)
    case notABackup(NotABackup)
}

extension BackupHeader {
    /// Reads the head of a file.
    /// - Parameter bytes: as many of its first bytes as there are by now.
    package static func read(_ bytes: [UInt8]) -> HeaderReading {
        guard let first = bytes.first else { return .needsMore(isPlausible: false) }
        if first == 0 { return crypt12(bytes) }
        switch messageLength(bytes) {
        case .needsMore: return .needsMore(isPlausible: false)
        case .refused: return .notABackup(ContentKind.inTheClear(bytes).map { .otherFile($0) } ?? .headerLength)
        case .length(let length, let prefixBytes):
            let end = prefixBytes + length
            guard bytes.count >= end else {
                return .needsMore(isPlausible: looksLikeHeader(bytes[prefixBytes...]))
            }
            return read(Array(bytes[..<end]), message: prefixBytes..<end, file: bytes)
        }
    }

    private static func read(_ bytes: [UInt8], message: Range<Int>, file: [UInt8]) -> HeaderReading {
        var scan = HeaderScan()
        do {
            try scan.read(bytes, message)
        } catch {
            return .notABackup(ContentKind.inTheClear(file).map { .otherFile($0) } ?? .headerFields)
        }
        if let nonce = scan.nonce {
            return .header(
                BackupHeader(bytes: bytes, nonceRange: nonce, claims: scan.claims, nonceCount: scan.nonceCount))
        }
        if scan.hasOlderKeyData { return .older(.crypt14) }
        return .notABackup(ContentKind.inTheClear(file).map { .otherFile($0) } ?? .noNonce)
    }

    /// cipher version 00 01, key version 1 to 3, three salts and nonces: 67 bytes. Three bytes alone are too easily chance.
    private static func crypt12(_ bytes: [UInt8]) -> HeaderReading {
        guard bytes.count >= 3 else { return .needsMore(isPlausible: false) }
        guard bytes[1] == 1 && (1...3).contains(bytes[2]) else { return .notABackup(.headerLength) }
        return bytes.count >= crypt12HeaderBytes ? .older(.crypt12) : .needsMore(isPlausible: false)
    }

    private static let crypt12HeaderBytes = 67

    private enum Length {
        case needsMore
        case refused
        case length(Int, prefixBytes: Int)
    }

    /// A varint of at most 3 bytes, from 1 to 65,536.
    private static func messageLength(_ bytes: [UInt8]) -> Length {
        var length = 0
        for (index, byte) in bytes.prefix(3).enumerated() {
            length |= Int(byte & 0x7f) << (7 * index)
            guard byte & 0x80 == 0 else { continue }
            return (1...messageBytesMax).contains(length) ? .length(length, prefixBytes: index + 1) : .refused
        }
        return bytes.count < 3 ? .needsMore : .refused
    }

    /// The first field of every header seen: the key type, or the data of a key.
    private static func looksLikeHeader(_ message: ArraySlice<UInt8>) -> Bool {
        guard let first = message.first else { return false }
        return [0x08, 0x12, 0x1a].contains(first)
    }
}
