import BackupEngine
import BackupFormat
import ByteCoding
import Foundation
import Primitives
import Testing

private let pageBytes = 512

/// Noise, the same for one seed; 0 is a page of zeros.
private func pages(_ seeds: Int...) -> [UInt8] {
    seeds.flatMap { $0 == 0 ? [UInt8](repeating: 0, count: pageBytes) : noise(pageBytes, seed: UInt64($0)) }
}

private func runs(_ runs: (Int, Int, Int)...) -> [PageRun] {
    runs.map { PageRun(first: $0.0, count: $0.1, place: $0.2) }
}

extension Forger {
    fileprivate func hashes(_ content: [UInt8]) -> [UInt8] {
        stride(from: 0, to: content.count, by: pageBytes).flatMap { start in
            content[start..<min(start + pageBytes, content.count)].withUnsafeBytes {
                repository.keyring.pageHash(of: $0).bytes
            }
        }
    }

    fileprivate mutating func full(
        _ runs: [PageRun], _ content: [UInt8], hashes: [UInt8]? = nil, id: ChunkID? = nil
    ) -> PageBatch {
        let count = runs.reduce(0) { $0 + $1.count }
        let own = Array(self.hashes(content).prefix(count * 8))
        return PageBatch(runs: runs, content: .full(id ?? chunk(content)), hashes: hashes ?? own)
    }

    fileprivate mutating func delta(
        _ runs: [PageRun], _ content: [UInt8], below: [UInt8], prefix: [UInt32], frame: [UInt8]? = nil,
        hashes: [UInt8]? = nil
    ) throws -> PageBatch {
        let prefixBytes = prefix.flatMap { page in below.dropFirst(Int(page) * pageBytes).prefix(pageBytes) }
        let made = content.withUnsafeBytes { content in
            prefixBytes.withUnsafeBytes { ZstandardPrefix().compress(content, prefix: $0, lessThan: 1 << 20) }
        }
        let stored = try frame ?? #require(made)
        return PageBatch(
            runs: runs, content: .delta(chunk(stored), prefix: prefix), hashes: hashes ?? self.hashes(content))
    }

    /// - Parameter groups: batches of each group; nil for the id of zeros.
    fileprivate mutating func layer(_ pageCount: Int, _ groups: [PageBatch]?...) throws -> PageLayer {
        var ids: [ChunkID] = []
        for group in groups {
            ids.append(try group.map { chunk(try PageGroup(batches: $0).encoded()) } ?? .zeros)
        }
        return PageLayer(pageCount: pageCount, groups: ChunkList(depth: 0, ids: ids))
    }

    fileprivate func database(_ name: String, _ layers: [PageLayer]) -> Entry {
        Entry(
            name: Array(name.utf8), metadata: MemorySource.metadata(),
            kind: .file(FileContent(linkGroup: 0, pageBytes: pageBytes, layers: layers)))
    }
}

@Suite struct `Databases by pages, forged under the right keys` {
    private let image = pages(1, 2, 3, 4)

    @Test func `layers change pages, swap them, add some and drop some`() async throws {
        var forger = try await Forger()
        let swapped = pages(4, 2, 3, 1)
        let grown = pages(4, 2, 0, 7, 3)
        let layers = [
            try forger.layer(4, [forger.full(runs((0, 4, 0)), image)]),
            try forger.layer(
                4, [forger.delta(runs((0, 1, 0), (3, 1, 1)), pages(4, 1), below: image, prefix: [0, 3])]),
            try forger.layer(2, nil),
            try forger.layer(
                5,
                [
                    PageBatch(runs: runs((2, 1, 0)), content: .zeros, hashes: []),
                    forger.delta(runs((3, 2, 0)), pages(7, 3), below: swapped, prefix: [1]),
                ]),
        ]
        let root = try forger.listing([forger.database("a.db", layers), forger.database("b.db", Array(layers[..<2]))])
        try await forger.publish(ChunkList(depth: 0, ids: [root]))
        let (files, report) = try await forger.wing.restored()
        #expect(report.missing == [] && files == ["a.db": grown, "b.db": swapped])
        #expect(try await forger.wing.verify().findings == [])
    }

    /// What is refused before anything is decoded, and what is found out only then.
    private func hostileLayers(_ forger: inout Forger) throws -> (
        structures: [String: [PageLayer]], contents: [String: [PageLayer]]
    ) {
        let base = try forger.layer(4, [forger.full(runs((0, 4, 0)), image)])
        let delta = try forger.delta(runs((0, 1, 0)), pages(5), below: image, prefix: [0])
        let zeros = { (runs: [PageRun]) in PageBatch(runs: runs, content: .zeros, hashes: []) }
        let wide = try forger.layer(
            600, [forger.full(runs((0, 600, 0)), [UInt8](repeating: 1, count: 600 * pageBytes))])
        let long = [UInt8](repeating: 7, count: 513 * pageBytes)
        let bomb = try #require(
            [UInt8](repeating: 0x61, count: 4 << 20).withUnsafeBytes {
                Zstandard.compress($0, level: 3, lessThan: 10_000)
            })
        func over(_ batches: PageBatch..., count: Int = 4) throws -> [PageLayer] {
            [base, try forger.layer(count, batches)]
        }
        let structures = [
            "too few groups": [
                base, PageLayer(pageCount: 5_000, groups: ChunkList(depth: 1, ids: [forger.chunk(noise(32, seed: 1))])),
            ],
            "nothing in the first layer": [try forger.layer(4, nil)],
            "a hole in the first layer": [try forger.layer(4, [forger.full(runs((0, 3, 0)), image)])],
            "a delta in the first layer": [
                try forger.layer(4, [forger.delta(runs((0, 4, 0)), image, below: image, prefix: [0])])
            ],
            "growth from nowhere": try over(delta, count: 5),
            "shrunk and grown": [base, try forger.layer(2, nil), try forger.layer(4, nil)],
            "behind the end": try over(forger.full(runs((4, 1, 0)), image)),
            "twice": try over(delta, zeros(runs((0, 1, 0)))),
            "out of order": try over(zeros(runs((1, 1, 0))), zeros(runs((0, 1, 0)))),
            "runs out of order": try over(forger.full(runs((2, 1, 0), (0, 1, 1)), image)),
            "an empty run": try over(zeros(runs((0, 0, 0)))),
            "runs that could be one": try over(forger.full(runs((0, 1, 0), (1, 1, 1)), image)),
            "zeros with a place": try over(zeros(runs((0, 1, 1)))),
            "a delta with a wrong place": try over(forger.delta(runs((0, 1, 1)), pages(5), below: image, prefix: [0])),
            "too few hashes": try over(forger.full(runs((0, 2, 0)), image, hashes: [UInt8](repeating: 0, count: 8))),
            "a place behind the chunk": try over(
                forger.full(runs((0, 1, 4)), image, hashes: [UInt8](repeating: 0, count: 8))),
            "half a page": try over(forger.full(runs((0, 1, 0)), image + [1])),
            "too much content": try over(
                forger.full(runs((0, 1, 0)), [UInt8](repeating: 1, count: (4 << 20) + pageBytes))),
            "the id of zeros": try over(forger.full(runs((0, 1, 0)), image, id: .zeros)),
            "a chunk that is not there": try over(
                forger.full(runs((0, 1, 0)), image, id: ChunkID(uncheckedBytes: Array(0..<32)))),
            "a prefix that is not there": try over(
                forger.delta(runs((0, 1, 0)), pages(5), below: image, prefix: [0, 4])),
            "a prefix out of order": try over(forger.delta(runs((0, 1, 0)), pages(5), below: image, prefix: [1, 0])),
            "too long a prefix": [wide] + [
                try forger.layer(600, [forger.delta(runs((0, 1, 0)), pages(5), below: image, prefix: Array(0..<2_049))])
            ],
            "too long a delta": [wide] + [
                try forger.layer(600, [forger.delta(runs((0, 513, 0)), long, below: image, prefix: [0])])
            ],
            "not a group": [
                base, PageLayer(pageCount: 4, groups: ChunkList(depth: 0, ids: [forger.chunk(noise(99, seed: 2))])),
            ],
        ]
        let contents = [
            "a wrong hash": try over(
                forger.delta(
                    runs((0, 1, 0)), pages(5), below: image, prefix: [0], hashes: [UInt8](repeating: 0, count: 8))),
            "another image below": try over(forger.delta(runs((0, 1, 0)), pages(9), below: pages(9), prefix: [0])),
            "a bomb": try over(forger.delta(runs((0, 1, 0)), pages(5), below: image, prefix: [0], frame: bomb)),
            "no frame": try over(
                forger.delta(runs((0, 1, 0)), pages(5), below: image, prefix: [0], frame: noise(99, seed: 3))),
        ]
        return (structures, contents)
    }

    @Test func `that break a rule are refused and named, and cost nothing else`() async throws {
        var forger = try await Forger()
        let (structures, contents) = try hostileLayers(&forger)
        let all = structures.merging(contents) { first, _ in first }
        var entries = all.map { forger.database($0.key, $0.value) }
        entries.append(forger.file("good", 3, 3, ChunkList(depth: 0, ids: [forger.chunk([1, 2, 3])])))
        entries.sort { $0.name.lexicographicallyPrecedes($1.name) }
        let root = try forger.listing(entries)
        try await forger.publish(ChunkList(depth: 0, ids: [root]))
        let (files, report) = try await forger.wing.restored()
        #expect(files == ["good": [1, 2, 3]])
        #expect(Set(report.missing.map { String(decoding: $0.path, as: UTF8.self) }) == Set(all.keys))
        #expect(try await named(by: forger.wing.verify()) == Set(all.keys))
        #expect(try await named(by: forger.wing.verify(deep: false)).isSuperset(of: structures.keys))
    }

    /// The paths of the entries that a verification finds damaged.
    private func named(by report: VerifyReport) -> Set<String> {
        Set(
            report.findings.compactMap { finding in
                if case .entryDamaged(let path, _) = finding { String(decoding: path, as: UTF8.self) } else { nil }
            })
    }

    @Test func `are decoded by a deep verification in each version that a delta needs`() async throws {
        var forger = try await Forger()
        // Page 0 changes in each layer, and each delta is made with what the layer below has there.
        var layers = [try forger.layer(4, [forger.full(runs((0, 4, 0)), image)])]
        for seed in 5..<10 {
            let below = pages(seed == 5 ? 1 : seed - 1, 2, 3, 4)
            let delta = try forger.delta(runs((0, 1, 0)), pages(seed), below: below, prefix: [0, 2])
            layers.append(try forger.layer(4, [delta]))
        }
        layers.append(
            try forger.layer(
                4,
                [
                    forger.delta(runs((1, 1, 0)), pages(11), below: pages(9, 2, 3, 4), prefix: [0, 1]),
                    forger.full(runs((2, 1, 0)), pages(12)),
                ]))
        layers.append(
            try forger.layer(
                4, [forger.delta(runs((3, 1, 0)), pages(13), below: pages(9, 11, 12, 4), prefix: [0, 1, 2])]))
        let root = try forger.listing([forger.database("a.db", layers)])
        try await forger.publish(ChunkList(depth: 0, ids: [root]))
        let report = try await forger.wing.verify()
        #expect(report.findings == [] && report.notDecoded == [])
    }

    @Test func `whose full pages are others than their hashes say are found by a deep verification`() async throws {
        var forger = try await Forger()
        let base = try forger.layer(4, [forger.full(runs((0, 4, 0)), image)])
        let wrong = try forger.layer(
            4, [forger.full(runs((0, 1, 1)), pages(5, 6), hashes: forger.hashes(pages(5)))])
        let right = try forger.layer(
            4, [forger.full(runs((0, 1, 1)), pages(5, 6), hashes: forger.hashes(pages(6)))])
        let entries = [forger.database("right", [base, right]), forger.database("wrong", [base, wrong])]
        let root = try forger.listing(entries)
        try await forger.publish(ChunkList(depth: 0, ids: [root]))
        #expect(try await named(by: forger.wing.verify()) == ["wrong"])
        #expect(try await named(by: forger.wing.verify(deep: false)) == [])
    }

    @Test func `are said to be not decoded where a device cannot hold their pages, and are not called damaged`()
        async throws
    {
        var forger = try await Forger()
        let base = try forger.layer(4, [forger.full(runs((0, 4, 0)), image)])
        let good = try forger.layer(4, [forger.delta(runs((0, 1, 0)), pages(5), below: image, prefix: [0])])
        let wrong = try forger.layer(4, [forger.delta(runs((0, 1, 0)), pages(9), below: pages(9), prefix: [0])])
        let entries = [forger.database("good", [base, good]), forger.database("wrong", [base, wrong])]
        let root = try forger.listing(entries)
        try await forger.publish(ChunkList(depth: 0, ids: [root]))
        var repository = try await forger.wing.open()
        repository.indexRecordsMax = .max
        for files in [nil, UselessFiles(takes: false), UselessFiles(takes: true)] {
            repository.temporaryFiles = files
            let report = try await forger.wing.verify(repository)
            #expect(report.findings == [] && report.notDecoded == [Array("good".utf8), Array("wrong".utf8)])
        }
        #expect(try await named(by: forger.wing.verify()) == ["wrong"])
    }

    @Test func `whose numbers do not fit are no entries`() {
        let layer = PageLayer(
            pageCount: 4, groups: ChunkList(depth: 0, ids: [ChunkID(uncheckedBytes: noise(32, seed: 1))]))
        func isRefused(_ change: (inout FileContent) -> Void) -> Bool {
            var content = FileContent(linkGroup: 0, pageBytes: 512, layers: [layer])
            change(&content)
            guard let bytes = try? content.encoded() else { return true }
            return (try? FileContent(decoding: bytes)) == nil
        }
        #expect(!isRefused { _ in })
        #expect(isRefused { $0.blockBytes = 513 })
        #expect(isRefused { $0.blockBytes = 256 })
        #expect(isRefused { $0.blockBytes = 1 << 17 })
        #expect(isRefused { $0.contentBytes -= 1 })
        #expect(isRefused { $0.layers = [] })
        #expect(isRefused { $0.layers = Array(repeating: layer, count: 17) })
        #expect(!isRefused { $0.layers = Array(repeating: layer, count: 16) })
        for pageCount in [0, 4_097] {
            let isRefused = isRefused { content in
                content.layers[0].pageCount = pageCount
                content.contentBytes = UInt64(pageCount) * 512
            }
            #expect(isRefused, "\(pageCount)")
        }
    }
}

/// A file that takes nothing, or gives back something else.
private final class UselessFiles: UnnamedFiles, DeviceFile {
    private let takes: Bool

    init(takes: Bool) { self.takes = takes }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) -> Bool {
        buffer.initializeMemory(as: UInt8.self, repeating: 7)
        return true
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) -> Bool { takes }

    func make() -> (any DeviceFile)? { self }
}
