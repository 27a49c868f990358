import BackupEngine
import BackupFormat
import ByteCoding
import Primitives
import TestSupport
import Testing

private let packBytes = 4_096

private let files: [String: [UInt8]] = Dictionary(
    uniqueKeysWithValues: (0..<10).map { number in
        ("folder-\(number % 2)/file-\(number)", noise(500 + 900 * number, seed: UInt64(number)))
    })

@Suite struct `A damaged store` {
    private func makeStore() async throws -> (MemoryStore, Wing) {
        let store = MemoryStore()
        let wing = try await Wing(store)
        try await wing.backUp(MemorySource(files.filter { $0.key < "folder-1" }), packBytes: packBytes)
        try await wing.backUp(MemorySource(files), packBytes: packBytes)
        return (store, wing)
    }

    /// Changes one byte of an object.
    private func flip(_ store: MemoryStore, _ name: ObjectName, at place: Int) {
        store.contents[name]?[place] ^= 0x04
    }

    @Test func `a wrong byte anywhere costs at most the files that need it, which are named, and is always found`()
        async throws
    {
        let (store, wing) = try await makeStore()
        let whole = store.contents
        var generator = SeededGenerator(seed: 7)
        for name in store.names where name != .header {
            let size = try #require(whole[name]?.count)
            for place in [
                0, 7, 9, 31, 32, size / 2 - 1, size / 2, size - 1, Int.random(in: 0..<size, using: &generator),
            ] {
                store.contents = whole
                flip(store, name, at: place)
                let findings = try await wing.verify().findings
                #expect(!findings.isEmpty, "\(name.path) at \(place)")
                let (restored, report) = try await wing.restored()
                #expect(restored.allSatisfy { files[$0.key] == $0.value })
                if case .pack = name {
                    let named = Set(report.missing.map { String(decoding: $0.path, as: UTF8.self) })
                    let lost = files.keys.filter { restored[$0] == nil }
                    #expect(
                        lost.allSatisfy { file in
                            named.contains { $0.isEmpty || file == $0 || file.hasPrefix($0 + "/") }
                        })
                    let damaged = findings.compactMap { finding in
                        if case .entryDamaged(let path, _) = finding {
                            String(decoding: path, as: UTF8.self)
                        } else {
                            nil
                        }
                    }
                    #expect(Set(damaged) == named, "\(name.path) at \(place)")
                } else {
                    #expect(restored == files && report.missing == [], "\(name.path) at \(place)")
                }
            }
        }
    }

    @Test func `objects that are gone or cut cost no more, and the next backup mends it`() async throws {
        let (store, wing) = try await makeStore()
        let whole = store.contents
        let newest = store.names.last { if case .snapshot = $0 { true } else { false } }
        for name in store.names where name != .header {
            for isCut in [false, true] {
                store.contents = whole
                store.contents[name] = isCut ? whole[name].map { Array($0.dropLast(20)) } : nil
                if case .keyring = name, !isCut {
                    #expect(try await wing.verify().findings == [.copyDamaged(name.path)])
                }
                if case .snapshot = name {
                    // The newest one held back is the one thing that a store can hide (spec, section 1).
                    let isHidden = !isCut && name == newest
                    #expect(try await wing.verify(deep: false).findings.isEmpty == isHidden)
                } else if case .pack = name {
                    #expect(try await !wing.verify(deep: false).findings.isEmpty, "\(name.path)")
                    let (restored, report) = try await wing.restored()
                    #expect(restored.count < files.count && !report.missing.isEmpty)
                    #expect(restored.allSatisfy { files[$0.key] == $0.value })
                }
                // A pack that is only cut is believed to be there until someone takes it away.
                if case .pack = name, isCut { store.contents[name] = nil }
                try await wing.backUp(MemorySource(files), packBytes: packBytes)
                let (restored, report) = try await wing.restored()
                #expect(restored == files && report.missing == [], "\(name.path)")
            }
        }
    }

    @Test func `every file that needs a damaged chunk is named, though it is stored once`() async throws {
        let store = MemoryStore()
        let wing = try await Wing(store)
        let photo = noise(30_000, seed: 1)
        try await wing.backUp(MemorySource(["a": photo, "b/c": photo, "d": [1]]), packBytes: packBytes)
        // The first packs are full of the photo.
        let packs = store.contents.filter { if case .pack = $0.key { $0.value.count > packBytes } else { false } }
        var named: [[String]] = []
        for name in packs.keys {
            store.contents[name]?[40] ^= 1
            named.append(
                try await wing.verify().findings.compactMap { finding in
                    if case .entryDamaged(let path, _) = finding { String(decoding: path, as: UTF8.self) } else { nil }
                })
            store.contents[name]?[40] ^= 1
        }
        #expect(named.count >= 7 && named.filter { $0 == ["a", "b/c"] }.count >= 7)
    }

    @Test func `without any index everything is found by the packs' own footers`() async throws {
        let (store, wing) = try await makeStore()
        for name in store.names { if case .index = name { store.contents[name] = nil } }
        #expect(try await wing.restored().files == files)
        #expect(try await wing.verify().findings == [])
        let stored = try await wing.backUp(MemorySource(files), packBytes: packBytes).storedBytes
        #expect(stored < 10_000, "an index and a snapshot")
        #expect(try await wing.open().loadIndex().unlisted == [])
    }

    @Test func `every single bit of the header is guarded`() async throws {
        let (store, wing) = try await makeStore()
        let header = try #require(store.contents[.header])
        for place in header.indices {
            for bit in 0..<8 {
                store.contents[.header]?[place] = header[place] ^ (1 << bit)
                do {
                    // White space and the case of digits mean nothing.
                    let repository = try await wing.open()
                    #expect(repository.header == StoreHeader(store: wing.id, fleet: nil))
                } catch OpenError.damagedHeader, OpenError.headerAltered, OpenError.wrongKey, OpenError.newerFormat {
                }
                store.contents[.header] = header
            }
        }
    }

    @Test func `another fleet in the header is an alteration, another key is a wrong key`() async throws {
        let store = MemoryStore()
        var generator = SeededGenerator(seed: 5)
        let key = BackupKey.random(using: &generator)
        let id = try StoreID(generator.bytes(16))
        _ = try await Repository.create(
            in: store, id: id, key: key, fleet: "name = \"ours\"", now: 1, using: &generator)
        #expect(try await Repository.open(store, key: key).header.fleet == "name = \"ours\"")
        let header = try #require(store.contents[.header])
        let text = String(decoding: header, as: UTF8.self)
        for forged in ["\"name = \\\"theirs\\\"\"", "null", "\"\""] {
            let altered = text.replacing("\"name = \\\"ours\\\"\"", with: forged)
            #expect(altered != text)
            store.contents[.header] = Array(altered.utf8)
            await #expect(throws: OpenError.headerAltered) { _ = try await Repository.open(store, key: key) }
        }
        store.contents[.header] = header
        let other = BackupKey.random(using: &generator)
        await #expect(throws: OpenError.wrongKey) { _ = try await Repository.open(store, key: other) }
        let keyrings = store.names.filter { if case .keyring = $0 { true } else { false } }
        store.contents[keyrings[0]] = Array(repeating: 0, count: 100)
        #expect(try await Repository.open(store, key: key).damagedKeyringCopies == [keyrings[0].path])
        store.contents[keyrings[1]] = nil
        await #expect(throws: OpenError.damagedKeyring) { _ = try await Repository.open(store, key: key) }
        await #expect(throws: OpenError.wrongKey) { _ = try await Repository.open(store, key: other) }
        store.contents[.header] = Array("{}".utf8)
        await #expect(throws: OpenError.damagedHeader) { _ = try await Repository.open(store, key: key) }
        store.contents[.header] = Array(text.replacing("\"version\" : 1", with: "\"version\" : 2").utf8)
        await #expect(throws: OpenError.newerFormat(2)) { _ = try await Repository.open(store, key: key) }
    }

    @Test func `objects of another store, or under each other's names, are found`() async throws {
        let (store, wing) = try await makeStore()
        let other = MemoryStore()
        let otherWing = try await Wing(other, seed: 9)
        try await otherWing.backUp(MemorySource(["foreign": noise(9_000, seed: 3)]), packBytes: packBytes)
        let whole = store.contents
        for (name, object) in other.contents where name != .header {
            store.contents = whole
            store.contents[name] = object
            let (restored, report) = try await wing.restored()
            #expect(restored == files && report.missing == [])
            if case .keyring = name { continue }
            #expect(try await !wing.verify().findings.isEmpty, "\(name.path)")
        }
        store.contents = whole
        let packs = store.names.filter { if case .pack = $0 { true } else { false } }
        store.contents[packs[0]] = whole[packs[1]]
        #expect(try await !wing.verify().findings.isEmpty)
        #expect(try await wing.restored().files.allSatisfy { files[$0.key] == $0.value })
        store.contents = whole
        let snapshots = try await wing.open().snapshotNames()
        store.contents[.snapshot(snapshots[1])] = whole[.snapshot(snapshots[0])]
        let renamed = ObjectName.snapshot(snapshots[1]).path
        #expect(try await wing.verify(deep: false).findings.contains(.snapshotDamaged(renamed)))
    }

    @Test func `a snapshot that was taken out of the middle is noticed`() async throws {
        let (store, wing) = try await makeStore()
        try await wing.backUp(MemorySource(files))
        let names = try await wing.open().snapshotNames()
        #expect(names.map(\.number) == [1, 2, 3])
        store.contents[.snapshot(names[1])] = nil
        #expect(try await wing.verify().findings == [.chainBroken(ObjectName.snapshot(names[2]).path)])
    }

    @Test func `a foreign snapshot with the highest number hides nothing`() async throws {
        let (store, wing) = try await makeStore()
        let foreign = SnapshotName(number: SnapshotName.numberMax, id: try ObjectID([UInt8](repeating: 1, count: 16)))
        store.contents[.snapshot(foreign)] = noise(4_000, seed: 1)
        let report = try await wing.backUp(MemorySource(files))
        #expect(report.snapshot.number == 3)
        #expect(try await wing.open().snapshotNames().map(\.number) == [1, 2, 3, SnapshotName.numberMax])
    }
}

@Suite struct `Chunks over several packs` {
    @Test(arguments: [1_024, 1_500, 4_096, 70_000])
    func `any capacity gives the files back, and full packs have one size`(capacity: Int) async throws {
        let store = MemoryStore()
        let wing = try await Wing(store)
        var contents = files
        contents["large"] = noise(150_000, seed: 77)
        contents["plain"] = [UInt8](repeating: 7, count: 200_000)
        for number in 0..<300 { contents["tiny/\(number)"] = Array("tiny \(number)".utf8) }
        try await wing.backUp(MemorySource(contents), packBytes: capacity)
        #expect(try await wing.restored().files == contents)
        #expect(try await wing.verify().findings == [])
        let sizes = store.contents.compactMap { name, object in if case .pack = name { object.count } else { nil } }
        let full = ObjectCipher.objectBytes(plaintextBytes: capacity)
        #expect(sizes.filter { $0 != full }.count <= 1)
        for name in store.names { if case .index = name { store.contents[name] = nil } }
        #expect(try await wing.restored().files == contents)
    }

    @Test func `a chunk that two cut backups left in different pieces is whole`() async throws {
        let store = MemoryStore()
        let wing = try await Wing(store)
        let large = ["large": noise(60_000, seed: 1)]
        try await wing.backUp(MemorySource(large), packBytes: 3_000)
        let first = store.contents
        store.contents = first.filter { if case .keyring = $0.key { true } else { $0.key == .header } }
        try await wing.backUp(MemorySource(large), packBytes: 5_000)
        let second = store.contents
        var generator = SeededGenerator(seed: 2)
        var wholes = 0
        for _ in 0..<40 {
            // Some packs of each, no index.
            let kept = first.merging(second) { $1 }.filter { name, _ in
                switch name {
                case .pack: Int.random(in: 0..<10, using: &generator) > 0
                case .index: false
                case .snapshot: second[name] != nil
                default: true
                }
            }
            store.contents = kept
            let (restored, report) = try await wing.restored()
            if report.missing.isEmpty {
                #expect(restored == large)
                wholes += 1
            } else {
                #expect(restored.isEmpty)
            }
            try await wing.backUp(MemorySource(large), packBytes: 4_000)
            #expect(try await wing.restored().files == large)
        }
        #expect((1..<40).contains(wholes))
    }

    @Test func `a damaged copy of a chunk is replaced by a whole one elsewhere`() async throws {
        let store = MemoryStore()
        let wing = try await Wing(store)
        try await wing.backUp(MemorySource(files), packBytes: packBytes)
        let first = store.contents
        store.contents = first.filter { if case .keyring = $0.key { true } else { $0.key == .header } }
        try await wing.backUp(MemorySource(files), packBytes: packBytes)
        let both = store.contents.merging(first) { $1 }
        for name in both.keys {
            guard case .pack = name else { continue }
            store.contents = both
            store.contents[name]?[40] ^= 1
            let (restored, report) = try await wing.restored()
            #expect(restored == files && report.missing == [], "\(name.path)")
        }
    }

    @Test func `two backups at once into one store both come back`() async throws {
        let store = MemoryStore()
        let wing = try await Wing(store)
        let others = ["other": noise(30_000, seed: 50), "shared": noise(9_000, seed: 51)]
        let mine = files.merging(["shared": noise(9_000, seed: 51)]) { $1 }
        async let first = wing.backUp(MemorySource(mine), packBytes: packBytes)
        async let second = wing.backUp(MemorySource(others), packBytes: packBytes)
        _ = try await (first, second)
        let restored = [try await wing.restored(number: 0).files, try await wing.restored(number: 1).files]
        #expect(restored == [mine, others] || restored == [others, mine])
        let findings = try await wing.verify().findings
        #expect(findings.allSatisfy { if case .chainBroken = $0 { true } else { false } })
    }
}
