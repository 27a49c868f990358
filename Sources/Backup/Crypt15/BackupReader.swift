package import Primitives

/// What was found out about one `.crypt15` file.
package struct BackupReading: Sendable {
    package let verdict: Verdict
    /// Nil if the file is no backup, an older one, or ends within it.
    package var header: BackupHeader?
    package var notABackup: NotABackup?
    package var olderFormat: OlderFormat?
    /// What it holds; only for a proven file is this more than a guess.
    package var content: ContentKind = .empty
    /// Of the content, inflated.
    package var contentBytes: UInt64 = 0
    /// The two first bytes of the zlib stream; nil if the content is not deflated.
    package var zlibHead: [UInt8]?
    /// Why the content of a proven file is not whole, or not given out.
    package var problem: ContentProblem?
    /// The first bytes opened to something that the key must fit: damage lies further on.
    package var keyFits = false
    /// How many bytes follow the end of the backup; known where the key fits and they are.
    package var bytesBehind: UInt64?

    /// Every byte of the content is as it was sealed, and came out whole.
    package var isWhole: Bool { verdict.isProven && problem == nil }
}

/// Reads one `.crypt15` file in pieces of any size, in constant memory (Specs/crypt15.md, sections 2 and 3).
///
/// What it hands out while it reads is proven by nothing: the caller keeps it where nobody takes it for the content until
/// `finish` has said that it is whole.
package final class BackupReader {
    private enum Stage {
        case head([UInt8])
        case body(BackupHeader, AES256GCMStream)
        case refused(BackupReading)
    }

    /// Tag and trailer are the last bytes of the file, wherever that is: so many are held back.
    private static let tailBytes = AES256GCMStream.tagBytes + MD5.digestBytes
    private static let pieceBytes = 1 << 16
    private static let shortBodyBytes = 512

    private let key: SecretBytes
    private let content: ContentReader
    private var stage = Stage.head([])
    private var md5 = MD5()
    private var tail = HeldBack(tailBytes)
    private var bodyBytes: UInt64 = 0
    private let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceBytes, alignment: 64)

    /// - Parameter contentBytesMax: more than so much is not handed out.
    package init(key: RootKey, contentBytesMax: UInt64 = .max) throws(MissingLibrary) {
        self.key = key.backupKey()
        content = ContentReader(bytesMax: contentBytesMax)
        // So that a missing library is told at once, and not in the middle of a file.
        _ = try AES256GCMStream(key: self.key, nonce: [0], .decrypt)
        try Inflate.requireLibrary()
    }

    deinit { piece.deallocate() }

    /// The header, once it was read.
    package var header: BackupHeader? {
        guard case .body(let header, _) = stage else { return nil }
        return header
    }

    /// Nothing that follows changes what `finish` says.
    package var isRefused: Bool {
        guard case .refused = stage else { return false }
        return true
    }

    package func feed<Failure: Error>(
        _ bytes: UnsafeRawBufferPointer, _ consume: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        switch stage {
        case .head(let before): try feedHead(before, bytes, consume)
        case .body(_, let cipher): try feedBody(bytes, cipher, consume)
        case .refused: break
        }
    }

    private func feedHead<Failure: Error>(
        _ before: [UInt8], _ bytes: UnsafeRawBufferPointer,
        _ consume: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        let headBytesMax = BackupHeader.messageBytesMax + 3
        let head = before + bytes.prefix(headBytesMax - before.count)
        switch BackupHeader.read(head) {
        case .needsMore: stage = .head(head)
        case .older(let format): refuse(BackupReading(verdict: .olderFormat, olderFormat: format))
        case .notABackup(let reason): refuse(BackupReading(verdict: .notABackup, notABackup: reason))
        case .header(let header):
            // It fails for want of a library alone, and that is there (`init`).
            guard let cipher = try? AES256GCMStream(key: key, nonce: header.nonce, .decrypt) else { return }
            stage = .body(header, cipher)
            md5.update(header.bytes)
            let taken = header.bytes.count - before.count
            try feedBody(UnsafeRawBufferPointer(rebasing: bytes[taken...]), cipher, consume)
        }
    }

    private func refuse(_ reading: BackupReading) { stage = .refused(reading) }

    private func feedBody<Failure: Error>(
        _ bytes: UnsafeRawBufferPointer, _ cipher: AES256GCMStream,
        _ consume: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        bodyBytes += UInt64(bytes.count)
        try tail.feed(bytes) { bytes throws(Failure) in
            try bytes.inPieces(of: piece.count) { part throws(Failure) in
                md5.update(part)
                cipher.update(part, into: piece)
                try content.feed(UnsafeRawBufferPointer(rebasing: piece[..<part.count]), consume)
            }
        }
    }

    /// Called when the file has ended. A file without a trailer hands out its last bytes here.
    package func finish<Failure: Error>(
        _ consume: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) -> BackupReading {
        switch stage {
        case .refused(let reading): return reading
        case .head(let bytes): return Self.reading(cutHead: bytes)
        case .body(let header, let cipher):
            let verdict = try judge(cipher, consume)
            var reading = BackupReading(verdict: verdict, header: header)
            if verdict.isProven { try content.finish(consume) }
            reading.content = content.kind
            reading.contentBytes = content.bytesOut
            reading.zlibHead = content.zlibHead
            reading.problem = verdict.isProven ? content.problem : nil
            reading.keyFits = verdict.isProven || content.isRecognised
            reading.bytesBehind = verdict.isProven ? nil : bytesBehind
            return reading
        }
    }

    private static func reading(cutHead bytes: [UInt8]) -> BackupReading {
        if bytes.isEmpty { return BackupReading(verdict: .notABackup, notABackup: .empty) }
        if case .needsMore(isPlausible: true) = BackupHeader.read(bytes) { return BackupReading(verdict: .truncated) }
        let other = ContentKind.inTheClear(bytes).map { NotABackup.otherFile($0) }
        return BackupReading(verdict: .notABackup, notABackup: other ?? .headerLength)
    }

    /// The table of section 3.
    private func judge<Failure: Error>(
        _ cipher: AES256GCMStream, _ consume: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) -> Verdict {
        let tagBytes = AES256GCMStream.tagBytes
        let tail = tail.bytes
        guard tail.count >= tagBytes else { return .truncated }
        guard tail.count == Self.tailBytes else { return try judgeShort(cipher, consume) }
        let first = Array(tail[..<tagBytes])
        let last = Array(tail[tagBytes...])
        md5.update(first)
        let further = cipher.copy()
        let isFirstTag = cipher.verify(tag: first)
        if constantTimeEquals(md5.digest(), last) { return isFirstTag ? .ok : .wrongKey }
        if isFirstTag { return .okPayloadHeaderOrTrailerAltered }
        let opened = further.update(first)
        let end = further.copy()
        let isLastTag = further.verify(tag: last)
        try feedContent(opened, consume)
        if isLastTag { return .okNoTrailer }
        try feedContent(end.update(last), consume)
        return isCut ? .truncated : .damagedOrWrongKey
    }

    /// Fewer than 32 bytes follow the header: there is room for a tag alone. A file that is cut here cannot be told from one of another
    /// key but by what opens.
    private func judgeShort<Failure: Error>(
        _ cipher: AES256GCMStream, _ consume: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) -> Verdict {
        let tail = tail.bytes
        let split = tail.count - AES256GCMStream.tagBytes
        let opened = cipher.update(tail[..<split])
        let further = cipher.copy()
        let isTag = cipher.verify(tag: Array(tail[split...]))
        try feedContent(opened, consume)
        if isTag { return .okNoTrailer }
        try feedContent(further.update(tail[split...]), consume)
        return isCut ? .truncated : .damagedOrWrongKey
    }

    private func feedContent<Failure: Error>(
        _ bytes: [UInt8], _ consume: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        try bytes.lend { bytes throws(Failure) in try content.feed(bytes, consume) }
    }

    /// The key fits, and the content is sound as far as it goes, but stops; or it is whole, and the tag is not. Of a short
    /// file too little may come out to be recognised; one head of zlib in 500 is chance.
    private var isCut: Bool {
        guard content.isRecognised || content.isDeflated && bodyBytes < Self.shortBodyBytes else { return false }
        if let behind = content.endedBefore { return behind < UInt64(Self.tailBytes) }
        return content.wantsMore
    }

    /// What follows a whole backup, if the content's end shows where that is.
    private var bytesBehind: UInt64? {
        guard content.isRecognised, let behind = content.endedBefore, behind > UInt64(Self.tailBytes) else {
            return nil
        }
        return behind - UInt64(Self.tailBytes)
    }
}
