import ByteCoding
package import Primitives

/// The name of a media file in WhatsApp's cloud (`.mcrypt1`; Specs/crypt15.md, section 4): 32 bytes that name it and,
/// with K, open it.
package struct MediaName: Hashable, Sendable {
    package static let byteCount = 32
    package static let fileEnding = ".mcrypt1"
    package static let metadataEnding = ".mcrypt1-metadata"

    package let bytes: [UInt8]

    /// HMAC-SHA256(K, SHA-256(path) ‖ MD5(content)).
    /// - Parameter path: as WhatsApp names it, `Media/WhatsApp Images/…`.
    package init(path: some StringProtocol, contentMD5: [UInt8], key: RootKey) {
        bytes = hmacSHA256(sha256(Array(path.utf8)) + contentMD5, key: key.secret)
    }

    /// Reads the name of a file, of either case and with either ending; nil if it is none.
    package init?(fileName: String) {
        let stem: Substring
        if fileName.hasSuffix(Self.fileEnding) {
            stem = fileName.dropLast(Self.fileEnding.utf8.count)
        } else if fileName.hasSuffix(Self.metadataEnding) {
            stem = fileName.dropLast(Self.metadataEnding.utf8.count)
        } else {
            return nil
        }
        guard let bytes = try? Hex.decode(stem), bytes.count == Self.byteCount else { return nil }
        self.bytes = bytes
    }

    /// As the cloud writes it.
    package var fileName: String { Hex.encode(bytes).uppercased() + Self.fileEnding }
}

/// Opens one `.mcrypt1` in pieces of any size, in constant memory.
///
/// What it hands out is proven by nothing until `finish` says `ok`. The file has neither header nor trailer: a wrong key, another
/// name and damage look the same.
package final class MediaReader {
    private static let pieceBytes = 1 << 16

    private let cipher: AES256GCMStream
    private var md5 = MD5()
    private var tail = HeldBack(AES256GCMStream.tagBytes)
    private let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceBytes, alignment: 64)
    package private(set) var bytesOut: UInt64 = 0

    package init(name: MediaName, key: RootKey) throws(MissingLibrary) {
        let (mediaKey, nonce) = key.mediaKey(name)
        cipher = try AES256GCMStream(key: mediaKey, nonce: nonce, .decrypt)
    }

    deinit { piece.deallocate() }

    package func feed<Failure: Error>(
        _ bytes: UnsafeRawBufferPointer, _ consume: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        try tail.feed(bytes) { bytes throws(Failure) in
            try bytes.inPieces(of: piece.count) { part throws(Failure) in
                cipher.update(part, into: piece)
                let opened = UnsafeRawBufferPointer(rebasing: piece[..<part.count])
                md5.update(opened)
                bytesOut += UInt64(opened.count)
                try consume(opened)
            }
        }
    }

    /// Called when the file has ended.
    /// - Returns: `ok`, `truncated` (shorter than a tag) or `damagedOrWrongKey`; and the MD5 of what came out, which with the
    ///   path makes the name.
    package func finish() -> (verdict: Verdict, contentMD5: [UInt8]) {
        let digest = md5.digest()
        guard tail.bytes.count == AES256GCMStream.tagBytes else { return (.truncated, digest) }
        return (cipher.verify(tag: tail.bytes) ? .ok : .damagedOrWrongKey, digest)
    }
}
