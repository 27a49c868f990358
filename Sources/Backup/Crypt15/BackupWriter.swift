package import Primitives

/// Writes a `.crypt15` in pieces, in constant memory, with the header of another one (Specs/crypt15.md, section 6).
///
/// Nobody has tried such a file against WhatsApp.
package final class BackupWriter {
    private static let pieceBytes = 1 << 16

    private let cipher: AES256GCMStream
    private let deflate: Deflate
    private var md5 = MD5()
    private let hasTrailer: Bool
    /// What the file begins with; to be written first.
    package let head: [UInt8]

    /// - Parameters:
    ///   - like: the header of the same phone's own backup: only its nonce is replaced.
    ///   - level: zlib's, 1 to 9.
    ///   - hasTrailer: whether the MD5 ends the file, as it does all that WhatsApp writes since 2022 but a few.
    ///   - generator: gives the nonce. One that was used already would give both contents away.
    ///   - payloadBytesMax: what GCM allows under one nonce; less in tests alone.
    package init(
        key: RootKey, like header: BackupHeader, level: Int, hasTrailer: Bool = true,
        using generator: inout some RandomNumberGenerator,
        payloadBytesMax: UInt64 = AES256GCMStream.messageBytesMax
    ) throws(MissingLibrary) {
        let nonce = generator.bytes(BackupHeader.nonceBytes)
        head = header.withNonce(nonce)
        cipher = try AES256GCMStream(key: key.backupKey(), nonce: nonce, .encrypt, bytesMax: payloadBytesMax)
        deflate = Deflate(level: level)
        self.hasTrailer = hasTrailer
        md5.update(head)
    }

    /// There was more than GCM allows under one nonce (64 GiB): nothing further is written, and the file is none.
    package var isTooLong: Bool { cipher.hasFailed }

    package func feed<Failure: Error>(
        _ content: UnsafeRawBufferPointer, _ write: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        try content.inPieces(of: Self.pieceBytes) { part throws(Failure) in
            guard !isTooLong else { return }
            try deflate.deflate(part) { piece throws(Failure) in try seal(piece, write) }
        }
    }

    /// The rest of the content, the tag and the trailer.
    /// - Returns: false if it is too long.
    package func finish<Failure: Error>(
        _ write: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) -> Bool {
        try deflate.finish { piece throws(Failure) in try seal(piece, write) }
        guard let tag = cipher.tag() else { return false }
        md5.update(tag)
        let end = hasTrailer ? tag + md5.digest() : tag
        try end.lend { end throws(Failure) in try write(end) }
        return true
    }

    private func seal<Failure: Error>(
        _ piece: UnsafeMutableRawBufferPointer, _ write: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        let plain = UnsafeRawBufferPointer(piece)
        cipher.update(plain, into: piece)
        guard !isTooLong else { return }
        md5.update(plain)
        try write(plain)
    }
}
