import BackupFormat
import ByteCoding
import Primitives

/// Stores a database by pages (spec: backup format, section 8): what changed since the last snapshot, and nothing else.
///
/// The database is read once to find the pages that differ from the last image, by this device's copy of it or by the pages' hashes
/// in the store; these are read again and stored. Both readings are of one moment, or `finish` says that they are not.
struct DatabaseBackup: ~Copyable {
    /// What was stored, and what to stage if the database was read in one piece.
    struct Stored {
        var content: FileContent
        var copyList: [UInt8]?
        /// Whether the next step is stored against this image.
        var isBase: Bool
    }

    /// How much is read at once; whole pages and whole frames of a copy.
    static let windowBytes = 256 << 10
    /// Pages that are stored full; the format would take more, but then reader and writer need more memory.
    static let fullBatchBytes = 1 << 20

    let pages: DatabasePages
    let path: [UInt8]
    let keyring: Keyring
    var next = NextLayer.first
    /// Whether this device has a copy of the image that the next step is to be stored against.
    private var hasBase = false
    /// The image to go on from.
    var chain: PageChain?
    /// This device's copy of that image.
    var copy: PreviousCopy?
    /// Knows that image too; nil if there is no copy of it, or nothing is made against it.
    var matcher: PageMatcher?
    /// The pages that differ from that image, or all.
    var changed: PageSet
    /// Makes the deltas; there when the matcher is.
    var zstandard: ZstandardPrefix?
    private let windowMemory = ScratchBuffer(byteCount: windowBytes)
    private let oldWindowMemory = ScratchBuffer(byteCount: windowBytes)
    private let sealedFrameMemory = ScratchBuffer(byteCount: windowBytes + AES256GCM.tagBytes)
    private let batchMemory = ScratchBuffer(byteCount: fullBatchBytes)
    private let prefixMemory = ScratchBuffer(byteCount: PageBatch.prefixBytesMax)
    var window: UnsafeMutableRawBufferPointer { windowMemory.bytes }
    var oldWindow: UnsafeMutableRawBufferPointer { oldWindowMemory.bytes }
    var sealedFrame: UnsafeMutableRawBufferPointer { sealedFrameMemory.bytes }
    var batch: UnsafeMutableRawBufferPointer { batchMemory.bytes }
    var prefix: UnsafeMutableRawBufferPointer { prefixMemory.bytes }

    private init(_ pages: DatabasePages, path: [UInt8], keyring: Keyring) {
        self.pages = pages
        self.path = path
        self.keyring = keyring
        changed = PageSet(count: pages.pageCount)
    }

    /// - Parameter didRead: called with the bytes of the database that were read for the first time.
    /// - Returns: nil if the database is not understood: then it is a file like others.
    static func run(
        _ file: any DatabaseFile, path: [UInt8], linkGroup: UInt64, _ history: inout DatabaseHistory,
        _ writer: inout ChunkWriter, didRead: (Int) -> Void
    ) async throws(BackupError) -> Stored? {
        let pages: DatabasePages?
        do { pages = try DatabasePages(file) } catch { throw .source(error) }
        guard let pages else { return nil }
        var backup = DatabaseBackup(pages, path: path, keyring: history.repository.keyring)
        do {
            backup.chain = try await history.chain(at: path, pageBytes: pages.pageBytes, &writer.reader)
        } catch {
            throw .store(error)
        }
        let last = backup.chain?.content
        if let last {
            backup.copy = history.copy(path, of: last)
            let base = history.baseCopy(path, of: last)?.content.layers.count
            backup.hasBase = base != nil
            backup.next = NextLayer(layers: last.layers.count, base: base)
        }
        try await backup.findChanges(&history, &writer.reader, didRead)
        try await backup.goBackToBase(&history, &writer.reader)
        writer.reader.releaseFrames()
        var content = try await backup.store(&history, &writer, didRead)
        backup.matcher = nil
        backup.zstandard = nil
        let list = try backup.copyForNextTime(of: content, after: last, &history, &writer)
        content.linkGroup = linkGroup
        // What did not change is no step, though it may be all that this device has a copy of.
        let isStep = backup.next != .day && content.layers != last?.layers
        return Stored(content: content, copyList: list, isBase: isStep || !backup.hasBase)
    }

    // MARK: What changed

    private mutating func findChanges(
        _ history: inout DatabaseHistory, _ reader: inout ChunkReader, _ didRead: (Int) -> Void
    ) async throws(BackupError) {
        guard chain != nil else { return }
        if try await compare(&reader, matching: next == .day, didRead) { return }
        if copy != nil {
            // The copy is damaged; the hashes in the store tell as well what changed.
            history.distrustCopy(path)
            copy = nil
            matcher = nil
            changed = PageSet(count: pages.pageCount)
            if try await compare(&reader, matching: false, { _ in }) { return }
        }
        chain = nil
        next = .first
    }

    private var isUnchanged: Bool { chain?.pageCount == pages.pageCount && changed.isEmpty }

    /// For a step what differs from the base counts, if there is anything new at all.
    private mutating func goBackToBase(
        _ history: inout DatabaseHistory, _ reader: inout ChunkReader
    ) async throws(BackupError) {
        guard next == .step, !isUnchanged, let last = chain else { return }
        let lastCopy = copy
        copy = history.baseCopy(path, of: last.content)
        changed = PageSet(count: pages.pageCount)
        if let content = copy?.content {
            do { chain = try await PageChain(content, &reader) } catch { throw .store(error) }
            if try await compare(&reader, matching: true, { _ in }) { return }
        }
        // It is gone or damaged.
        hasBase = false
        next = NextLayer(layers: last.content.layers.count, base: nil)
        (chain, copy, changed, matcher) = (last, lastCopy, PageSet(count: pages.pageCount), nil)
        try await findChanges(&history, &reader) { _ in }
    }

    /// Whether the image to go on from could be read.
    ///
    /// - Parameter matching: whether its pages are taken up for deltas.
    private mutating func compare(
        _ reader: inout ChunkReader, matching: Bool, _ didRead: (Int) -> Void
    ) async throws(BackupError) -> Bool {
        guard let oldPageCount = chain?.pageCount, let oldGroupCount = chain?.groupCount else { return false }
        if matching, copy != nil {
            matcher = PageMatcher(pageCount: oldPageCount, pageBytes: pages.pageBytes)
            zstandard = ZstandardPrefix()
        }
        let windowPages = Self.windowBytes / pages.pageBytes
        let end = max(pages.pageCount, oldPageCount)
        for group in 0..<max(PageGroup.count(pages: end), oldGroupCount) {
            guard let resolved = try await resolved(group, &reader) else { return false }
            let firstPage = group * PageGroup.pagesMax
            for start in stride(from: firstPage, to: min(firstPage + PageGroup.pagesMax, end), by: windowPages) {
                let new = start..<max(start, min(start + windowPages, pages.pageCount))
                do { try pages.read(new, into: window) } catch { throw .source(error) }
                didRead(new.count * pages.pageBytes)
                let old = start..<max(start, min(start + windowPages, oldPageCount))
                if copy == nil {
                    compare(new, old, resolved, firstPage)
                } else if !compareWithCopy(new, old) {
                    return false
                }
            }
        }
        return true
    }

    /// Where the pages of a group of the last image come from; nil if that cannot be read.
    func resolved(_ group: Int, _ reader: inout ChunkReader) async throws(BackupError) -> ResolvedGroup? {
        do { return try await chain?.group(group, &reader) } catch { throw .store(error) }
    }

    private mutating func compare(
        _ new: Range<Int>, _ old: Range<Int>, _ resolved: ResolvedGroup, _ firstPage: Int
    ) {
        for page in new {
            let isSame = old.contains(page) && resolved.holds(page - firstPage, self.page(page, in: new), keyring)
            if !isSame { changed.insert(page) }
        }
    }

    /// False if the copy is damaged.
    private mutating func compareWithCopy(_ new: Range<Int>, _ old: Range<Int>) -> Bool {
        guard let copy else { return false }
        let firstFrame = old.lowerBound * pages.pageBytes / copy.frameBytes
        let endFrame = (old.upperBound * pages.pageBytes + copy.frameBytes - 1) / copy.frameBytes
        for frame in firstFrame..<max(firstFrame, endFrame) {
            let start = (frame - firstFrame) * copy.frameBytes
            let part = UnsafeMutableRawBufferPointer(rebasing: oldWindow[start..<start + copy.frameBytes])
            guard copy.read(frame: frame, into: part, sealedFrame) else { return false }
        }
        for page in old {
            let start = (page - old.lowerBound) * pages.pageBytes
            let bytes = UnsafeRawBufferPointer(rebasing: oldWindow[start..<start + pages.pageBytes])
            matcher?.add(page, bytes)
            if new.contains(page), !isEqual(self.page(page, in: new), bytes) { changed.insert(page) }
        }
        changed.insert(max(new.lowerBound, old.upperBound)..<max(new.lowerBound, old.upperBound, new.upperBound))
        return true
    }

    /// A page of the window.
    func page(_ page: Int, in read: Range<Int>) -> UnsafeRawBufferPointer {
        let start = (page - read.lowerBound) * pages.pageBytes
        return UnsafeRawBufferPointer(rebasing: window[start..<start + pages.pageBytes])
    }

    // MARK: The layer

    var startsAnew: Bool { next == .first }

    private mutating func store(
        _ history: inout DatabaseHistory, _ writer: inout ChunkWriter, _ didRead: (Int) -> Void
    ) async throws(BackupError) -> FileContent {
        if let chain, isUnchanged { return chain.content }
        var groups: [ChunkID] = []
        for group in 0..<PageGroup.count(pages: pages.pageCount) {
            let batches = try await batches(ofGroup: group, &history, &writer)
            if chain == nil {
                didRead(min(PageGroup.pagesMax, pages.pageCount - group * PageGroup.pagesMax) * pages.pageBytes)
            }
            guard !batches.isEmpty else {
                groups.append(.zeros)
                continue
            }
            let sorted = batches.sorted { $0.runs[0].first < $1.runs[0].first }
            guard let encoded = try? PageGroup(batches: sorted).encoded() else { throw .unrepresentable }
            groups.append(try await writer.add(encoded))
        }
        let layer = PageLayer(pageCount: pages.pageCount, groups: try await writer.addList(of: groups))
        let below = startsAnew ? [] : chain?.content.layers ?? []
        return FileContent(linkGroup: 0, pageBytes: pages.pageBytes, layers: below + [layer])
    }

    // MARK: The copy

    private func isChanged(_ start: Int, _ count: Int) -> Bool {
        changed.containsAny(of: start..<min(start + count, pages.pageCount))
    }

    /// Writes what changed to this device's copy; nil if it keeps none.
    ///
    /// - Parameter last: the content in the last snapshot.
    private mutating func copyForNextTime(
        of content: FileContent, after last: FileContent?, _ history: inout DatabaseHistory, _ writer: inout ChunkWriter
    ) throws(BackupError) -> [UInt8]? {
        let frameBytes = PreviousCopy.frameBytes(pageBytes: pages.pageBytes, pageCount: pages.pageCount)
        let imageBytes = pages.pageCount * pages.pageBytes
        let isSame = content.layers == chain?.content.layers
        guard frameBytes <= Self.windowBytes, copy == nil || !isSame,
            var next = history.nextCopy(
                path, frameBytes: frameBytes, frameCount: (imageBytes + frameBytes - 1) / frameBytes, on: copy,
                after: last, using: &writer.generator)
        else { return nil }
        let framePages = frameBytes / pages.pageBytes
        let writesAll = copy?.frameBytes != frameBytes
        // Its list is as large as the next one's.
        copy = nil
        let starts = stride(from: 0, to: pages.pageCount, by: framePages)
        var framesToWrite = 0
        for start in starts where writesAll || isChanged(start, framePages) { framesToWrite += 1 }
        guard history.hasRoom(path, forBytes: framesToWrite * frameBytes) else { return nil }
        for (frame, start) in starts.enumerated() where writesAll || isChanged(start, framePages) {
            let range = start * pages.pageBytes..<(start + framePages) * pages.pageBytes
            do { try pages.read(bytes: range, into: window) } catch { throw .source(error) }
            guard next.write(frame: frame, UnsafeRawBufferPointer(rebasing: window[..<frameBytes])) else { return nil }
        }
        return next.sealedList(of: content)
    }
}
