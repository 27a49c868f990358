import BackupEngine
import BackupFormat
import ByteCoding
import Foundation
import ObjectStores
import Primitives
import TestSupport
import Testing

@testable import BackupSources

private let packBytes = 4_096
private let day: UInt64 = 86_400

private func contents(_ range: Range<Int>) -> [String: [UInt8]] {
    Dictionary(
        uniqueKeysWithValues: range.map { ("folder-\($0 % 3)/file-\($0)", noise(700 + 631 * $0, seed: UInt64($0))) })
}

extension Wing {
    @discardableResult
    fileprivate func repair(isTrial: Bool = false) async throws -> RepairReport {
        try await Repair.run(
            try await open(), key: key, options: Repair.Options(isTrial: isTrial), now: Self.now,
            generator: SystemRandomNumberGenerator(), report: { _ in })
    }

    @discardableResult
    fileprivate func prune(keepLast: Int, days: UInt64) async throws -> PruneReport {
        try await Prune.run(
            try await open(), keeping: { Set($0.map(\.name).sorted().suffix(keepLast)) }, options: Prune.Options(),
            now: Self.now + days * day, generator: SystemRandomNumberGenerator())
    }
}

private func isPack(_ name: ObjectName) -> Bool { if case .pack = name { true } else { false } }
private func isIndex(_ name: ObjectName) -> Bool { if case .index = name { true } else { false } }

@Suite struct `A repair` {
    private let store = MemoryStore()

    /// Two backups, of which the second holds more.
    private func wing() async throws -> Wing {
        let wing = try await Wing(store)
        try await wing.backUp(MemorySource(contents(0..<6)), packBytes: packBytes)
        try await wing.backUp(MemorySource(contents(0..<12)), packBytes: packBytes)
        return wing
    }

    @Test func `of a sound store does nothing`() async throws {
        let wing = try await wing()
        let before = store.contents
        let report = try await wing.repair()
        #expect(report.isClean && report.packs == before.keys.count(where: isPack))
        #expect(store.contents == before)
    }

    @Test(arguments: 0..<4)
    func `lets the next backup store again what was in a damaged pack`(damage: Int) async throws {
        let wing = try await wing()
        let whole = store.contents
        for pack in whole.keys.filter(isPack) {
            store.contents = whole
            let object = try #require(whole[pack])
            switch damage {
            case 0: store.contents[pack]?[object.count / 3] ^= 1
            case 1: store.contents[pack] = Array(object.dropLast(40))
            case 2: store.contents[pack] = nil
            default: store.contents[pack] = noise(100, seed: 5)
            }
            let damaged = store.contents
            let (_, missing) = try await wing.restored()
            let trial = try await wing.repair(isTrial: true)
            #expect(store.contents == damaged, "a trial changes nothing")
            let report = try await wing.repair()
            #expect(report.damagedPacks.contains(pack.path) && report == trial)
            #expect(damaged.allSatisfy { store.contents[$0.key] == $0.value }, "nothing was changed or removed")
            // Exactly what a restore of the newest misses, and more in older ones.
            let lost = Set(report.lost.filter { $0.snapshots.contains(2) }.map(\.path))
            #expect(lost == Set(missing.missing.map(\.path)), "\(pack.path)")
            let next = try await wing.backUp(MemorySource(contents(0..<12)), packBytes: packBytes)
            #expect(next.storedBytes > 1_000)
            let (files, after) = try await wing.restored()
            #expect(files == contents(0..<12) && after.missing == [])
            #expect(try await wing.verify(deep: true).findings == [], "\(pack.path)")
            #expect(try await wing.backUp(MemorySource(contents(0..<12)), packBytes: packBytes).storedBytes < 3_000)
        }
    }

    @Test func `counts no file twice that is lost in two backups, nor beyond those that it names`() async throws {
        let wing = try await Wing(store)
        var files: [String: [UInt8]] = [:]
        for number in 0..<1_500 { files["\(number)"] = noise(300, seed: UInt64(number)) }
        try await wing.backUp(MemorySource(files), packBytes: 64 << 10)
        files["more"] = [1]
        try await wing.backUp(MemorySource(files), packBytes: 64 << 10)
        func missing() async throws -> [[[UInt8]]] {
            [
                try await wing.restored(number: 0).report.missing.map(\.path),
                try await wing.restored(number: 1).report.missing.map(\.path),
            ]
        }
        for pack in store.contents.keys.filter(isPack) {
            let whole = store.contents
            store.contents[pack] = nil
            // Without the folder no file in it is named.
            if try await missing().contains(where: { $0.contains([]) }) { store.contents = whole }
        }
        let lost = Set(try await missing().joined()).count
        try #require(lost > 1_000)
        let report = try await wing.repair(isTrial: true)
        #expect(report.lostCount == lost && report.lost.count == 1_000)
        #expect(report.lost.contains { $0.snapshots == [1, 2] })
    }

    @Test func `never lets go of a damaged pack that older backups need, nor believes in it again`() async throws {
        let wing = try await wing()
        let pack = try await damageFilesOfTheFirst(wing)
        try await wing.repair()
        let sound = try await wing.restored(number: 0).files
        // The files of the first backup are gone from the device.
        try await wing.backUp(MemorySource(contents(6..<12)), packBytes: packBytes)
        for days: UInt64 in [2, 4] {
            try await wing.prune(keepLast: 3, days: days)
            #expect(try await wing.restored(number: 0).files == sound)
            #expect(try await wing.verify().findings == [])
        }
        // They come back: what was damaged is stored anew, though a prune has been there.
        try await wing.backUp(MemorySource(contents(0..<12)), packBytes: packBytes)
        #expect(try await wing.restored().files == contents(0..<12))
        #expect(try await wing.verify().findings == [])
        // With the older backups it goes, and its record with it.
        try await wing.prune(keepLast: 1, days: 6)
        try await wing.prune(keepLast: 1, days: 8)
        #expect(store.contents[pack] == nil)
        #expect(try await wing.repair().isClean)
        #expect(try await wing.verify().findings == [])
        #expect(try await wing.restored().files == contents(0..<12))
    }

    /// Damages a pack in which files of the oldest backup lie, and no folder: without its folders nothing is pruned.
    private func damageFilesOfTheFirst(_ wing: Wing) async throws -> ObjectName {
        let whole = store.contents
        for pack in whole.keys.filter(isPack) {
            store.contents[pack]?[40] ^= 1
            let lost = try await wing.restored(number: 0).report.missing.map {
                String(decoding: $0.path, as: UTF8.self)
            }
            if !lost.isEmpty, lost.allSatisfy({ contents(0..<12)[$0] != nil }) { return pack }
            store.contents = whole
        }
        return try #require(nil)
    }

    @Test func `makes an index out of the packs`() async throws {
        let wing = try await wing()
        let whole = store.contents
        for isGone in [false, true] {
            store.contents = whole
            for name in whole.keys.filter(isIndex) {
                store.contents[name] = isGone ? nil : whole[name].map { Array($0.dropLast(9)) }
            }
            let report = try await wing.repair()
            #expect(report.wroteIndex && report.damagedIndexes.count == (isGone ? 0 : 2) && report.lostCount == 0)
            #expect(store.names.filter(isIndex).count == 1)
            #expect(try await wing.open().loadIndex().unlisted == [])
            #expect(try await wing.verify().findings == [])
            #expect(try await wing.restored().files == contents(0..<12))
            #expect(try await wing.repair().isClean)
        }
    }

    @Test func `writes the keyring anew beside a damaged copy`() async throws {
        let wing = try await wing()
        let damaged = ObjectName.keyring(number: 1, copy: .b)
        store.contents[damaged]?[50] ^= 1
        let before = store.contents
        let report = try await wing.repair()
        #expect(report.damagedKeyringCopies == [damaged.path] && report.newKeyring == 2)
        #expect(before.allSatisfy { store.contents[$0.key] == $0.value })
        #expect(try await wing.verify().findings == [])
        // The old one may be lost now.
        store.contents[.keyring(number: 1, copy: .a)] = nil
        #expect(try await wing.restored().files == contents(0..<12))
        #expect(try await wing.verify().findings == [])
        #expect(try await wing.repair().isClean)
    }

    @Test func `leaves alone what may be another device's`() async throws {
        let wing = try await wing()
        var generator = SeededGenerator(seed: 3)
        // Sealed under an epoch that this keyring does not have.
        let other = ObjectID(uncheckedBytes: generator.bytes(16))
        for kind in [ObjectKind.index, .removal, .pack, .snapshot] {
            let preamble = try Preamble(kind: kind, epoch: 2, id: other).encoded()
            let name: ObjectName =
                switch kind {
                case .index: .index(other)
                case .removal: .removal(other)
                case .pack: .pack(other)
                default: .snapshot(SnapshotName(number: 3, id: other))
                }
            store.contents[name] = preamble + noise(2_000, seed: 1)
        }
        // A keyring above this one, which does not open: another device is replacing the key.
        for copy in ObjectName.KeyringCopy.allCases {
            store.contents[.keyring(number: 2, copy: copy)] = noise(1_100, seed: 2)
        }
        let before = store.contents
        let report = try await wing.repair()
        #expect(report.leftAlone.count == 6 && report.newKeyring == nil && report.damagedPacks == [])
        #expect(before.allSatisfy { store.contents[$0.key] == $0.value })
    }

    @Test func `says which snapshots are lost, and which have one copy left`() async throws {
        let wing = try await wing()
        let names = try await wing.open().snapshotNames().map { ObjectName.snapshot($0) }
        store.contents[names[0]]?[100] ^= 1
        store.contents[names[1]] = noise(500, seed: 1)
        let report = try await wing.repair()
        #expect(report.halfDamagedSnapshots == [names[0].path] && report.lostSnapshots == [names[1].path])
        #expect(report.lostCount == 0 && !report.isClean)
    }

    @Test func `removes the record of a removal that does not open`() async throws {
        let wing = try await wing()
        try await wing.prune(keepLast: 1, days: 0)
        let removals = store.names.filter { if case .removal = $0 { true } else { false } }
        #expect(removals.count == 1)
        for name in removals { store.contents[name]?[200] ^= 1 }
        let report = try await wing.repair()
        #expect(report.damagedRemovals == removals.map(\.path))
        let findings = try await wing.verify().findings
        #expect(findings.allSatisfy { if case .chainBroken = $0 { true } else { false } })
        #expect(try await wing.restored().files == contents(0..<12))
    }

    @Test(arguments: FaultyStore.Fault.allCases)
    func `cut at any call leaves what there was, and the next one ends the work`(
        fault: FaultyStore.Fault
    ) async throws {
        let wing = try await wing()
        let pack = try #require(store.names.first(where: isPack))
        let index = try #require(store.names.first(where: isIndex))
        store.contents[pack]?[40] ^= 1
        store.contents[index]?[60] ^= 1
        store.contents[.keyring(number: 1, copy: .a)] = nil
        let before = store.contents
        let sound = try await wing.restored().files
        let counting = FaultyStore(MemoryStore(before), .failure, atCall: .max)
        try await wing.over(counting).repair()
        for call in stride(from: 0, to: counting.callCount, by: 3) {
            let inner = MemoryStore(before)
            let after = wing.over(inner)
            _ = try? await wing.over(FaultyStore(inner, fault, atCall: call)).repair()
            // A reply that was wrong once may make a sound pack look damaged; that costs nothing but space.
            #expect(before.allSatisfy { $0.key == index || inner.contents[$0.key] == $0.value }, "call \(call)")
            #expect(try await after.restored().files == sound, "call \(call)")
            try await after.repair()
            try await after.backUp(MemorySource(contents(0..<12)), packBytes: packBytes)
            #expect(try await after.restored().files == contents(0..<12), "call \(call)")
            #expect(try await after.verify().findings == [], "call \(call)")
        }
    }

    @Test func `of a store with a damaged database and files that the device knows brings all back`() async throws {
        let database = try await PagedDatabase(seed: 5, setUp: "PRAGMA page_size = 1024")
        let known = KnownFilesFile(path: database.copies("known"))
        for number in 0..<6 { try database.source.write(noise(4_000, seed: UInt64(number)), to: "\(number).jpg") }
        func backUp(at time: UInt64) async throws {
            _ = try await Backup.run(
                try FolderSource(path: database.source.path), into: try await database.wing.open(),
                generator: SystemRandomNumberGenerator(), now: { time }, copies: database.copyFolder,
                knownFiles: known, packBytes: 8_192, report: { _ in })
        }
        for day in 0..<3 as Range<UInt64> {
            try database.add(200, words: 8)
            try await backUp(at: Wing.now + day)
        }
        let packs = database.store.names.filter(isPack)
        let whole = database.store.contents
        for pack in packs {
            database.store.contents = whole
            database.store.contents[pack]?[50] ^= 1
            try await database.wing.repair()
            try await backUp(at: Wing.now + 10)
            #expect(try await database.wing.verify().findings == [], "\(pack.path)")
            let back = try TemporaryFolder()
            #expect(try await database.wing.restore(to: back("r")).missing == [])
            #expect(try back.read("r/chat.db") == database.expected())
            for number in 0..<6 { #expect(try back.read("r/\(number).jpg") == noise(4_000, seed: UInt64(number))) }
        }
    }
}
