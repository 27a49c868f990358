import BackupFormat
import ByteCoding

/// Why a database could not be restored.
enum DatabaseRestoreError: Error {
    case read(ReadError)
    case target(TargetError)
}

/// Builds the image of a database, layer by layer, in the file that a target has begun (spec: backup format, section 8).
///
/// A delta may need any page of the image below. So its pages wait behind the image until the last delta of the layer is
/// decoded; memory holds one delta and its prefix, whatever the database's size.
struct DatabaseRestore: ~Copyable {
    private let content: FileContent
    private let target: any RestoreTarget
    private let pageBytes: Int
    /// Behind the longest image of the chain.
    private let waitingOffset: UInt64
    private let decoder: DeltaDecoder
    private var pages: UnsafeMutableRawBufferPointer { decoder.pages }

    private init(_ content: FileContent, _ keyring: Keyring, _ target: any RestoreTarget) {
        self.content = content
        self.target = target
        pageBytes = Int(content.blockBytes)
        decoder = DeltaDecoder(pageBytes: pageBytes, keyring)
        waitingOffset = content.layers.reduce(0) { max($0, UInt64($1.pageCount) * UInt64(content.blockBytes)) }
    }

    /// - Parameter written: called with how many bytes of the image have come to their places for the first time.
    static func run(
        _ content: FileContent, from reader: inout ChunkReader, keyring: Keyring, into target: any RestoreTarget,
        written: (UInt64) -> Void
    ) async throws(DatabaseRestoreError) {
        let restore = DatabaseRestore(content, keyring, target)
        try restore.toTarget { target throws(TargetError) in try target.resize(restore.waitingOffset) }
        for layer in content.layers.indices {
            let groups: [ChunkID]
            do { groups = try await reader.groupIDs(of: content.layers[layer]) } catch { throw .read(error) }
            if layer > 0 { try await restore.decodeDeltas(of: layer, groups, &reader) }
            try await restore.place(layer, groups, &reader) { if layer == 0 { written($0) } }
        }
        try restore.toTarget { target throws(TargetError) in try target.resize(content.contentBytes) }
    }

    private func toTarget(
        _ body: (any RestoreTarget) throws(TargetError) -> Void
    ) throws(DatabaseRestoreError) {
        do { try body(target) } catch { throw .target(error) }
    }

    private func group(
        _ group: Int, _ id: ChunkID, ofLayer layer: Int, _ reader: inout ChunkReader
    ) async throws(DatabaseRestoreError) -> PageGroup {
        do {
            return try await reader.pageGroup(id, at: content.place(ofGroup: group, inLayer: layer))
        } catch {
            throw .read(error)
        }
    }

    // MARK: First all deltas of a layer

    private func decodeDeltas(
        of layer: Int, _ groups: [ChunkID], _ reader: inout ChunkReader
    ) async throws(DatabaseRestoreError) {
        var offset = waitingOffset
        for (number, id) in groups.enumerated() where id != .zeros {
            for batch in try await group(number, id, ofLayer: layer, &reader).batches {
                guard case .delta(let chunk, let prefixPages) = batch.content else { continue }
                let frame: [UInt8]
                do { frame = try await reader.content(of: chunk) } catch { throw .read(error) }
                try readPrefix(prefixPages)
                let decoded: UnsafeRawBufferPointer
                do {
                    decoded = try decoder.decode(frame, of: batch, prefixPages: prefixPages.count)
                } catch {
                    throw .read(error)
                }
                try toTarget { target throws(TargetError) in try target.write(decoded, at: offset) }
                offset += UInt64(decoded.count)
            }
        }
    }

    /// Neighbours are read at once.
    private func readPrefix(_ pages: [UInt32]) throws(DatabaseRestoreError) {
        var place = 0
        while place < pages.count {
            var count = 1
            while place + count < pages.count, pages[place + count] == pages[place] &+ UInt32(count) { count += 1 }
            let buffer = decoder.prefix(place..<place + count)
            let offset = UInt64(pages[place]) * UInt64(pageBytes)
            try toTarget { target throws(TargetError) in try target.read(into: buffer, at: offset) }
            place += count
        }
    }

    // MARK: Then everything to its place

    private func place(
        _ layer: Int, _ groups: [ChunkID], _ reader: inout ChunkReader, written: (UInt64) -> Void
    ) async throws(DatabaseRestoreError) {
        var waiting = waitingOffset
        for (number, id) in groups.enumerated() {
            let firstPage = number * PageGroup.pagesMax
            for batch in try await group(number, id, ofLayer: layer, &reader).batches {
                switch batch.content {
                case .zeros where layer == 0: break
                case .zeros: try placeZeros(batch, firstPage)
                case .full(let chunk):
                    let full: UnsafeRawBufferPointer
                    do {
                        full = try await reader.fullPages(chunk, of: batch, pageBytes: pageBytes)
                    } catch {
                        throw .read(error)
                    }
                    try place(batch, firstPage, full)
                case .delta:
                    let decoded = UnsafeMutableRawBufferPointer(rebasing: pages[..<(batch.pageCount * pageBytes)])
                    try toTarget { target throws(TargetError) in try target.read(into: decoded, at: waiting) }
                    waiting += UInt64(decoded.count)
                    try place(batch, firstPage, UnsafeRawBufferPointer(decoded))
                }
                written(UInt64(batch.pageCount) * UInt64(pageBytes))
            }
        }
    }

    private func place(
        _ batch: PageBatch, _ firstPage: Int, _ bytes: UnsafeRawBufferPointer
    ) throws(DatabaseRestoreError) {
        for run in batch.runs {
            let part = UnsafeRawBufferPointer(
                rebasing: bytes[run.place * pageBytes..<(run.place + run.count) * pageBytes])
            let offset = UInt64(firstPage + run.first) * UInt64(pageBytes)
            try toTarget { target throws(TargetError) in try target.write(part, at: offset) }
        }
    }

    private func placeZeros(_ batch: PageBatch, _ firstPage: Int) throws(DatabaseRestoreError) {
        pages.initializeMemory(as: UInt8.self, repeating: 0)
        for run in batch.runs {
            var offset = UInt64(firstPage + run.first) * UInt64(pageBytes)
            var left = run.count * pageBytes
            while left > 0 {
                let part = UnsafeRawBufferPointer(rebasing: pages[..<min(left, pages.count)])
                try toTarget { target throws(TargetError) in try target.write(part, at: offset) }
                offset += UInt64(part.count)
                left -= part.count
            }
        }
    }
}
