package import Primitives

/// Whether a key opens a whole `.crypt15`, by its tag alone: nothing is unpacked and the trailer is not looked at, so that trying a key takes a
/// part of the time of opening the file.
package final class TagReader {
    private static let tailBytes = AES256GCMStream.tagBytes + MD5.digestBytes
    private static let pieceBytes = 1 << 16

    private let cipher: AES256GCMStream
    private var headerBytesLeft: Int
    /// The last bytes so far: tag and trailer, wherever the file ends.
    private var tail = HeldBack(tailBytes)
    private let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceBytes, alignment: 64)

    package init(_ header: BackupHeader, key: RootKey) throws(MissingLibrary) {
        cipher = try AES256GCMStream(key: key.backupKey(), nonce: header.nonce, .decrypt)
        headerBytesLeft = header.bytes.count
    }

    deinit { piece.deallocate() }

    /// The file from its first byte on.
    package func feed(_ bytes: UnsafeRawBufferPointer) {
        let skipped = min(headerBytesLeft, bytes.count)
        headerBytesLeft -= skipped
        tail.feed(UnsafeRawBufferPointer(rebasing: bytes[skipped...])) { bytes in
            bytes.inPieces(of: piece.count) { cipher.update($0, into: piece) }
        }
    }

    /// Called when the file has ended: whether it is what was sealed under the key, with a trailer or without one.
    package func finish() -> Bool {
        let tagBytes = AES256GCMStream.tagBytes
        let tail = tail.bytes
        guard tail.count >= tagBytes else { return false }
        let further = cipher.copy()
        if tail.count == Self.tailBytes, cipher.verify(tag: Array(tail[..<tagBytes])) { return true }
        let split = tail.count - tagBytes
        _ = further.update(tail[..<split])
        return further.verify(tag: Array(tail[split...]))
    }
}
