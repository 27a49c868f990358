import BackupFormat
import ByteCoding
import Primitives

/// Pages on their way into batches: those of one group.
private struct GatheredPages {
    var zeros: [Int] = []
    /// In the buffer, one behind the other.
    var gathered: [Int] = []
    /// Pages that are stored full already, by the number of the batch below.
    var references: [Int: [PageRun]] = [:]
    var batches: [PageBatch] = []

    /// Extends the last run if the page follows it in the image and in the chunk.
    mutating func refer(to page: Int, batch: Int, place: Int) {
        var runs = references[batch] ?? []
        if let last = runs.last, last.end == page, last.place + last.count == place {
            runs[runs.count - 1].count += 1
        } else {
            runs.append(PageRun(first: page, count: 1, place: place))
        }
        references[batch] = runs
    }
}

extension DatabaseBackup {
    /// What the next layer says of one group.
    mutating func batches(
        ofGroup group: Int, _ history: inout DatabaseHistory, _ writer: inout ChunkWriter
    ) async throws(BackupError) -> [PageBatch] {
        let firstPage = group * PageGroup.pagesMax
        let all = firstPage..<min(firstPage + PageGroup.pagesMax, pages.pageCount)
        var below: ResolvedGroup?
        if startsAnew, chain != nil {
            below = try await resolved(group, &writer.reader)
            // It could be read a moment ago.
            guard below != nil else { throw .source(.changed) }
        }
        var gathering = GatheredPages()
        var page = all.lowerBound
        while page < all.upperBound {
            if let source = reference(to: page - firstPage, at: page, below) {
                gathering.refer(to: page - firstPage, batch: source.batch, place: source.place)
                page += 1
            } else if !isStored(page) {
                page += 1
            } else {
                var end = page + 1
                while end < all.upperBound, end - page < Self.windowBytes / pages.pageBytes, isStored(end),
                    reference(to: end - firstPage, at: end, below) == nil
                { end += 1 }
                try await gather(page..<end, firstPage, &gathering, &history, &writer)
                page = end
            }
        }
        try await flush(&gathering, firstPage, &history, &writer)
        return finish(gathering, below)
    }

    /// Whether a page must be in the next layer.
    private func isStored(_ page: Int) -> Bool { startsAnew || changed.contains(page) }

    /// A page that did not change and is stored full costs nothing, in a first layer too.
    private func reference(to local: Int, at page: Int, _ below: ResolvedGroup?) -> (batch: Int, place: Int)? {
        guard let below, !changed.contains(page) else { return nil }
        return below.fullSource(of: local)
    }

    private mutating func gather(
        _ range: Range<Int>, _ firstPage: Int, _ gathering: inout GatheredPages, _ history: inout DatabaseHistory,
        _ writer: inout ChunkWriter
    ) async throws(BackupError) {
        do { try pages.read(range, into: window) } catch { throw .source(error) }
        let capacity = (matcher == nil ? Self.fullBatchBytes : PageBatch.deltaBytesMax) / pages.pageBytes
        for number in range {
            let bytes = page(number, in: range)
            if isZero(bytes) {
                gathering.zeros.append(number - firstPage)
                continue
            }
            let start = gathering.gathered.count * pages.pageBytes
            UnsafeMutableRawBufferPointer(rebasing: batch[start..<start + pages.pageBytes]).copyMemory(from: bytes)
            gathering.gathered.append(number - firstPage)
            if gathering.gathered.count == capacity { try await flush(&gathering, firstPage, &history, &writer) }
        }
    }

    /// Stores the pages in the buffer: against old pages, if there are any that help, else full.
    private mutating func flush(
        _ gathering: inout GatheredPages, _ firstPage: Int, _ history: inout DatabaseHistory,
        _ writer: inout ChunkWriter
    ) async throws(BackupError) {
        guard !gathering.gathered.isEmpty else { return }
        let content = UnsafeRawBufferPointer(rebasing: batch[..<(gathering.gathered.count * pages.pageBytes)])
        var hashes: [UInt8] = []
        for start in stride(from: 0, to: content.count, by: pages.pageBytes) {
            let page = UnsafeRawBufferPointer(rebasing: content[start..<start + pages.pageBytes])
            hashes += keyring.pageHash(of: page).bytes
        }
        let stored: PageBatch.Content
        if let (frame, prefixPages) = try delta(of: gathering.gathered, firstPage, content, &history) {
            stored = .delta(try await writer.add(frame), prefix: prefixPages)
        } else {
            stored = .full(try await writer.add(content))
        }
        gathering.batches.append(
            PageBatch(runs: PageBatch.runs(of: gathering.gathered), content: stored, hashes: hashes))
        gathering.gathered.removeAll(keepingCapacity: true)
    }

    /// nil if there is no old page that helps.
    private mutating func delta(
        of gathered: [Int], _ firstPage: Int, _ content: UnsafeRawBufferPointer, _ history: inout DatabaseHistory
    ) throws(BackupError) -> (frame: [UInt8], prefix: [UInt32])? {
        guard let matcher, let zstandard else { return nil }
        let prefixPages = matcher.prefix(for: gathered.map { firstPage + $0 }, content)
        guard !prefixPages.isEmpty else { return nil }
        guard readPrefix(prefixPages) else {
            // The copy was whole a moment ago: the database is stored again, without it.
            history.distrustCopy(path)
            throw .source(.changed)
        }
        let prefix = UnsafeRawBufferPointer(rebasing: prefix[..<(prefixPages.count * pages.pageBytes)])
        let frame = zstandard.compress(content, prefix: prefix, lessThan: content.count / 16 * 15)
        return frame.map { ($0, prefixPages) }
    }

    private func readPrefix(_ pageNumbers: [UInt32]) -> Bool {
        guard let copy else { return false }
        let pageBytes = pages.pageBytes
        var frameRead = -1
        for (place, page) in pageNumbers.enumerated() {
            let offset = Int(page) * pageBytes
            let frame = offset / copy.frameBytes
            if frame != frameRead {
                let buffer = UnsafeMutableRawBufferPointer(rebasing: oldWindow[..<copy.frameBytes])
                guard copy.read(frame: frame, into: buffer, sealedFrame) else { return false }
                frameRead = frame
            }
            let start = offset - frame * copy.frameBytes
            UnsafeMutableRawBufferPointer(rebasing: prefix[place * pageBytes..<(place + 1) * pageBytes])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: oldWindow[start..<start + pageBytes]))
        }
        return true
    }

    private func finish(_ gathering: GatheredPages, _ below: ResolvedGroup?) -> [PageBatch] {
        var batches = gathering.batches
        if !gathering.zeros.isEmpty {
            let runs = PageBatch.runs(of: gathering.zeros).map { PageRun(first: $0.first, count: $0.count, place: 0) }
            batches.append(PageBatch(runs: runs, content: .zeros, hashes: []))
        }
        guard let below else { return batches }
        for (number, runs) in gathering.references.sorted(by: { $0.key < $1.key }) {
            let hashes = runs.flatMap { run in (run.first..<run.end).flatMap { below.hash(of: $0) } }
            batches.append(PageBatch(runs: runs, content: below.content(ofBatch: number), hashes: hashes))
        }
        return batches
    }
}
