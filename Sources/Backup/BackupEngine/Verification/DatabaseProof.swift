import BackupFormat
import ByteCoding

/// Decodes every image of a database's chain as a restore does, and proves each page by its hash, but keeps of it only the pages that later
/// layers are decoded with (spec: backup format, section 8).
struct DatabaseProof: ~Copyable {
    enum Failure: Error {
        /// The database cannot be restored.
        case read(ReadError)
        /// This device cannot hold the pages; nothing is known of the database.
        case noScratch
    }

    struct Counts {
        var chunks = 0
        var bytes: UInt64 = 0
    }

    private let content: FileContent
    private let decoder: DeltaDecoder
    /// Pages that some delta has in its prefix.
    private var needed = SparsePageSet()
    /// nil if no page is needed.
    private var pages: ProofPages?
    private var counts = Counts()
    private var pageBytes: Int { decoder.pageBytes }

    private init(_ content: FileContent, _ keyring: Keyring) {
        self.content = content
        decoder = DeltaDecoder(pageBytes: Int(content.blockBytes), keyring)
    }

    static func run(
        _ content: FileContent, from reader: inout ChunkReader
    ) async throws(Failure) -> Counts {
        var proof = DatabaseProof(content, reader.repository.keyring)
        var groups: [[ChunkID]] = []
        do {
            for layer in content.layers { groups.append(try await reader.groupIDs(of: layer)) }
            for layer in content.layers.indices.dropFirst() { try await proof.findPrefixes(layer, groups, &reader) }
        } catch {
            throw .read(error)
        }
        if !proof.needed.isEmpty {
            guard let file = reader.repository.temporaryFiles?.make() else { throw .noScratch }
            proof.pages = ProofPages(file, pageBytes: proof.pageBytes)
        }
        for layer in content.layers.indices { try await proof.prove(layer, groups[layer], &reader) }
        return proof.counts
    }

    private mutating func findPrefixes(
        _ layer: Int, _ groups: [[ChunkID]], _ reader: inout ChunkReader
    ) async throws(ReadError) {
        for (number, id) in groups[layer].enumerated() where id != .zeros {
            let group = try await reader.pageGroup(id, at: content.place(ofGroup: number, inLayer: layer))
            for case .delta(_, let prefix) in group.batches.map(\.content) {
                for page in prefix { needed.insert(Int(page)) }
            }
        }
    }

    private mutating func prove(
        _ layer: Int, _ groups: [ChunkID], _ reader: inout ChunkReader
    ) async throws(Failure) {
        for (number, id) in groups.enumerated() {
            let group: PageGroup
            do {
                group = try await reader.pageGroup(id, at: content.place(ofGroup: number, inLayer: layer))
            } catch {
                throw .read(error)
            }
            for batch in group.batches {
                let proven = try await proven(batch, &reader)
                // The last image is no one's ground.
                guard layer < content.layers.count - 1 else { continue }
                do { try keep(batch, number * PageGroup.pagesMax, proven) } catch { throw .noScratch }
            }
        }
        pages?.endLayer()
    }

    /// A batch's content, lent until the next one; nil for zeros.
    private mutating func proven(
        _ batch: PageBatch, _ reader: inout ChunkReader
    ) async throws(Failure) -> UnsafeRawBufferPointer? {
        switch batch.content {
        case .zeros: return nil
        case .full(let chunk):
            let full: UnsafeRawBufferPointer
            do { full = try await reader.fullPages(chunk, of: batch, pageBytes: pageBytes) } catch {
                throw .read(error)
            }
            count(full.count)
            guard decoder.holds(batch, full) else { throw .read(.damagedLayer) }
            return full
        case .delta(let chunk, let prefix):
            let frame: [UInt8]
            do { frame = try await reader.content(of: chunk) } catch { throw .read(error) }
            count(frame.count)
            do throws(ProofPages.Failure) {
                for (place, page) in prefix.enumerated() {
                    try pages?.read(Int(page), into: decoder.prefix(place..<place + 1))
                }
            } catch {
                throw .noScratch
            }
            do { return try decoder.decode(frame, of: batch, prefixPages: prefix.count) } catch { throw .read(error) }
        }
    }

    private mutating func count(_ bytes: Int) {
        counts.chunks += 1
        counts.bytes += UInt64(bytes)
    }

    private mutating func keep(
        _ batch: PageBatch, _ firstPage: Int, _ content: UnsafeRawBufferPointer?
    ) throws(ProofPages.Failure) {
        for run in batch.runs {
            for page in 0..<run.count where needed.contains(firstPage + run.first + page) {
                let bytes = bytes(of: run.place + page, in: content)
                try pages?.write(firstPage + run.first + page, bytes)
            }
        }
    }

    private func bytes(of place: Int, in content: UnsafeRawBufferPointer?) -> UnsafeRawBufferPointer {
        if let content { return .init(rebasing: content[place * pageBytes..<(place + 1) * pageBytes]) }
        // The decoder's own memory is free here.
        let zeros = UnsafeMutableRawBufferPointer(rebasing: decoder.pages[..<pageBytes])
        zeros.initializeMemory(as: UInt8.self, repeating: 0)
        return UnsafeRawBufferPointer(zeros)
    }
}
