import BackupEngine
import BackupFormat
import Foundation
import Synchronization
import TestSupport
import Testing

/// A store that lists what was there some calls ago, as clouds do.
private final class LateStore: StoreAround {
    private let store: MemoryStore
    var inner: any ObjectStore { store }
    private let delay: Int
    private let seen: Mutex<[Set<ObjectName>]>

    /// - Parameter delay: how many writes a list is behind.
    init(_ store: MemoryStore, delay: Int) {
        self.store = store
        self.delay = delay
        seen = Mutex([Set(store.names)])
    }

    private func note() { seen.withLock { $0.append(Set(store.names)) } }

    func create(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        try await store.create(name, bytes)
        note()
    }

    func list(_ folder: ObjectName.Folder) async throws(ObjectStoreError) -> [ObjectName] {
        let then = seen.withLock { $0[max(0, $0.count - 1 - delay)] }
        return then.filter { $0.path.hasPrefix("\(folder.rawValue)/") }
    }

    func delete(_ name: ObjectName) async throws(ObjectStoreError) {
        try await store.delete(name)
        note()
    }
}

@Suite struct `A store that shows what was` {
    private func contents(_ count: Int) -> [String: [UInt8]] {
        Dictionary(uniqueKeysWithValues: (0..<count).map { ("file \($0)", noise(3_000, seed: UInt64($0))) })
    }

    @Test(arguments: [1, 2, 3, 6, 20])
    func `lists late, and no backup is lost by it`(delay: Int) async throws {
        let store = MemoryStore()
        let wing = try await Wing(store)
        let late = wing.over(LateStore(store, delay: delay))
        for day in 1...4 {
            try await late.backUp(MemorySource(contents(3 * day)), packBytes: 4_096)
            let all = try await wing.verify().findings
            #expect(all == [], "day \(day)")
        }
        let names = try await wing.open().snapshotNames()
        #expect(names.count == 4)
        var found: Set<Int> = []
        for number in 0..<4 {
            let (files, report) = try await wing.restored(number: number)
            #expect(report.missing == [] && files == contents(files.count))
            found.insert(files.count)
        }
        #expect(found == [3, 6, 9, 12])
    }

    @Test func `lists packs that are gone, and what needs none of them comes back`() async throws {
        let store = MemoryStore()
        let wing = try await Wing(store)
        try await wing.backUp(MemorySource(contents(3)), packBytes: 4_096)
        let late = LateStore(store, delay: 1_000)
        try await wing.backUp(MemorySource(["other": noise(3_000, seed: 50)]), packBytes: 4_096)
        _ = try await Prune.run(
            try await wing.open(), keeping: { Set($0.map(\.name).sorted().suffix(1)) },
            options: Prune.Options(graceSeconds: 0), now: Wing.now, generator: SystemRandomNumberGenerator())
        // What it lists of the first day is not there any more: that is said, and breaks nothing.
        _ = try? await wing.over(late).verify()
        #expect(try await wing.restored().files.keys.sorted() == ["other"])
        #expect(try await wing.verify().findings == [])
    }

    @Test func `gives an old header, and opens nothing else by it`() async throws {
        let store = MemoryStore()
        let wing = try await Wing(store)
        try await wing.backUp(MemorySource(contents(2)))
        let old = try #require(store.contents[.header])
        let header = try await wing.open().header
        try await Repository.replaceHeader(in: store, StoreHeader(store: header.store, fleet: "a fleet"), key: wing.key)
        #expect(try await wing.open().header.fleet == "a fleet")
        store.contents[.header] = old
        // It is one that was right; the tag in a head tells that there was another (section 13).
        #expect(try await wing.open().header == header)
        #expect(try await wing.restored().files == contents(2))
    }
}

@Suite struct `Extremes of a source` {
    @Test func `a file of a hundred gigabytes that is one hole comes back as one`() async throws {
        let (source, target) = (try TemporaryFolder(), try TemporaryFolder())
        try source.makeSparse("hole", byteCount: 100_000_000_000)
        let wing = try await Wing(MemoryStore())
        #expect(try await wing.backUp(source.path).storedBytes < 1_000_000)
        #expect(try await wing.restore(to: target("back")).missing == [])
        var status = stat()
        try require(stat(target("back/hole"), &status) == 0, "stat")
        #expect(status.st_size == 100_000_000_000 && status.st_blocks < 100)
        #expect(try await wing.verify().findings == [])
    }

    @Test func `a name of three hundred bytes is saved, and named where a file system does not take it`() async throws {
        let long = String(repeating: "n", count: 300)
        let wing = try await Wing(MemoryStore())
        try await wing.backUp(
            MemorySource([long: [1], "folder \(long)/inside": [2], "short": [3], "newline\nin it": [4]]))
        let files = try await wing.restored().files
        #expect(files.count == 4 && files[long] == [1])
        let target = try TemporaryFolder()
        let report = try await wing.restore(to: target("back"))
        #expect(
            Set(report.missing.map { String(decoding: $0.path, as: UTF8.self) })
                == [long, "folder \(long)"])
        #expect(try target.read("back/short") == [3] && target.read("back/newline\nin it") == [4])
        #expect(try names(in: Array(target("back").utf8)).count == 2)
    }

    @Test func `a database that an app encrypts is a file, and its log another`() async throws {
        let source = try TemporaryFolder()
        try source.write(noise(80_000, seed: 1), to: "encrypted.db")
        try source.write(noise(30_000, seed: 2), to: "encrypted.db-wal")
        let wing = try await Wing(MemoryStore())
        for day in 0..<3 {
            // Every page is another one when it is written again.
            try source.write(noise(80_000, seed: UInt64(10 + day)), to: "encrypted.db")
            try await wing.backUp(source.path)
        }
        let (files, report) = try await wing.restored()
        #expect(report.missing == [] && files["encrypted.db"] == noise(80_000, seed: 12))
        #expect(files["encrypted.db-wal"] == noise(30_000, seed: 2))
        #expect(try await wing.restored(number: 0).files["encrypted.db"] == noise(80_000, seed: 10))
    }
}

@Suite struct `A quota in the middle of a pack` {
    @Test func `costs nothing that was there, leaves no snapshot, and the next backup goes on`() async throws {
        func contents(_ count: Int) -> [String: [UInt8]] {
            Dictionary(uniqueKeysWithValues: (0..<count).map { ("file \($0)", noise(5_000, seed: UInt64($0))) })
        }
        let first = MemoryStore()
        let wing = try await Wing(first)
        try await wing.backUp(MemorySource(contents(2)), packBytes: 4_096)
        let used = first.contents.values.reduce(0) { $0 + $1.count }
        for more in stride(from: 0, through: 70_000, by: 3_500) {
            let small = MemoryStore(first.contents, capacity: used + more)
            let done = try? await wing.over(small).backUp(MemorySource(contents(12)), packBytes: 4_096)
            let there = wing.over(MemoryStore(small.contents))
            #expect(try await there.open().snapshotNames().count == (done == nil ? 1 : 2))
            #expect(first.contents.allSatisfy { small.contents[$0.key] == $0.value })
            #expect(try await there.restored(number: 0).files == contents(2))
            #expect(try await there.verify().findings == [])
            let kept = small.contents.count
            try await there.backUp(MemorySource(contents(12)), packBytes: 4_096)
            #expect(try await there.restored().files == contents(12), "\(more) bytes more, \(kept) objects")
            if more == 0 { #expect(done == nil) }
            if more == 70_000 { #expect(done != nil) }
        }
    }
}
