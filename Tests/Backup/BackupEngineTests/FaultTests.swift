import BackupEngine
import BackupFormat
import Synchronization
import TestSupport
import Testing

private let packBytes = 4_096

private func contents(_ range: Range<Int>) -> [String: [UInt8]] {
    Dictionary(
        uniqueKeysWithValues: range.map { number in
            ("folder-\(number % 3)/file-\(number)", noise(700 + 631 * number, seed: UInt64(number)))
        })
}

@Suite struct `A store that fails` {
    @Test(arguments: FaultyStore.Fault.allCases)
    func `at any call of a backup costs nothing that was there, and the next backup goes on`(
        fault: FaultyStore.Fault
    ) async throws {
        let base = MemoryStore()
        let first = contents(0..<6)
        let second = contents(0..<12)
        let wing = try await Wing(base)
        try await wing.backUp(MemorySource(first), packBytes: packBytes)
        let before = base.contents
        let counting = FaultyStore(base, .failure, atCall: .max)
        try await wing.over(counting).backUp(MemorySource(second), packBytes: packBytes)
        let plainCount = base.contents.count
        var failures = 0
        for call in 0..<counting.callCount {
            let store = MemoryStore(before)
            let wing = wing.over(store)
            let done = try? await wing.over(FaultyStore(store, fault, atCall: call))
                .backUp(MemorySource(second), packBytes: packBytes)
            if done == nil { failures += 1 }
            #expect(before.allSatisfy { store.contents[$0.key] == $0.value }, "call \(call)")
            let snapshots = try await wing.open().snapshotNames()
            if done != nil { #expect(snapshots.count == 2) }
            #expect(try await wing.verify().findings == [], "call \(call)")
            #expect(try await wing.restored(number: 0).files == first, "call \(call)")
            if snapshots.count == 2 { #expect(try await wing.restored(number: 1).files == second) }
            try await wing.backUp(MemorySource(second), packBytes: packBytes)
            let (files, report) = try await wing.restored()
            #expect(files == second && report.missing == [], "call \(call)")
            #expect(try await wing.verify().findings == [], "call \(call)")
            // What the cut backup had stored is used: at most the packs that it was filling come on top.
            #expect(store.contents.count <= plainCount + 6, "call \(call)")
        }
        switch fault {
        case .failure, .lostAnswer: #expect(failures == counting.callCount)
        case .full: #expect(failures > 5)
        // A reply that is wrong once: another copy or the packs' own footers take its place, or the backup stops.
        case .cutReply, .wrongBit, .vanished: #expect(failures < counting.callCount)
        }
    }

    @Test(arguments: FaultyStore.Fault.allCases)
    func `at any call of a restore or a verification never gives wrong bytes`(fault: FaultyStore.Fault) async throws {
        let base = MemoryStore()
        let wing = try await Wing(base)
        // Messages come back in a round of their own before the rest, which reads the folders again.
        let messages = ["folder-1/_chat.txt": noise(900, seed: 20), "_chat.txt": noise(800, seed: 21)]
        let files = contents(0..<8).merging(messages) { $1 }
        try await wing.backUp(MemorySource(files), packBytes: packBytes)
        let counting = FaultyStore(base, .failure, atCall: .max)
        _ = try await wing.over(counting).restored()
        for call in 0..<counting.callCount {
            let faulty = wing.over(FaultyStore(base, fault, atCall: call))
            if let (restored, report) = try? await faulty.restored() {
                #expect(restored.allSatisfy { files[$0.key] == $0.value })
                #expect(restored.count == files.count || !report.missing.isEmpty, "call \(call)")
            }
            _ = try? await wing.over(FaultyStore(base, fault, atCall: call)).verify()
        }
        #expect(try await wing.restored().files == files)
    }

    @Test(arguments: [FaultyStore.Fault.cutReply, .vanished])
    func `for a moment at any call of a verification is a finding, or its end`(fault: FaultyStore.Fault) async throws {
        let base = MemoryStore()
        let wing = try await Wing(base)
        try await wing.backUp(MemorySource(contents(0..<8)), packBytes: packBytes)
        let counting = FaultyStore(base, .failure, atCall: .max)
        let opened = FaultyStore(base, .failure, atCall: .max)
        _ = try await wing.over(opened).open()
        _ = try await wing.over(counting).verify()
        for call in opened.callCount..<counting.callCount {
            do {
                _ = try await wing.over(FaultyStore(base, fault, atCall: call)).verify()
            } catch let error as ObjectStoreError {
                // What is lost of an object is what a verification looks for, and ends none. A folder is never lost.
                if case .notFound(let path) = error {
                    #expect(!path.contains("/"), "call \(call)")
                } else {
                    Issue.record("call \(call): \(error)")
                }
            }
        }
    }

    @Test(arguments: FaultyStore.Fault.allCases)
    func `at any call of a creation leaves a place where a store can be made`(fault: FaultyStore.Fault) async throws {
        for call in 0..<6 {
            let base = MemoryStore()
            _ = try? await Wing(FaultyStore(base, fault, atCall: call), seed: 1)
            if base.contents[.header] != nil {
                await #expect(throws: OpenError.store(.exists("coffer.json"))) { _ = try await Wing(base, seed: 2) }
            } else {
                let wing = try await Wing(base, seed: 2)
                try await wing.backUp(MemorySource(contents(0..<2)))
                #expect(try await wing.restored().files == contents(0..<2))
            }
        }
    }

    @Test func `without an answer says nothing about the key`() async throws {
        let base = MemoryStore()
        let wing = try await Wing(base)
        for call in 0..<4 {
            await #expect(throws: OpenError.store(.failed("for the test"))) {
                _ = try await wing.over(FaultyStore(base, .failure, atCall: call)).open()
            }
        }
    }

    @Test func `a store that lost its header is not made anew over what is left`() async throws {
        let base = MemoryStore()
        let wing = try await Wing(base)
        try await wing.backUp(MemorySource(contents(0..<2)))
        base.contents[.header] = nil
        let before = base.contents
        await #expect(throws: OpenError.damagedHeader) { _ = try await Wing(base, seed: 2) }
        #expect(base.contents == before)
        await #expect(throws: OpenError.noStoreHere) { _ = try await wing.open() }
    }
}

@Suite struct `A source that misbehaves` {
    private func backUp(_ source: MemorySource) async throws -> (Wing, BackupReport) {
        let wing = try await Wing(MemoryStore())
        return (wing, try await wing.backUp(source, packBytes: packBytes))
    }

    @Test func `what cannot be read is named, and the rest is saved`() async throws {
        var source = MemorySource(contents(0..<9))
        let names = source.files.keys.sorted()
        source.files[names[0]]?.behaviour = .unreadable
        source.files[names[1]]?.behaviour = .vanished
        source.files[names[2]]?.behaviour = .breaks
        source.files[names[3]]?.behaviour = .changes(attempts: 2)
        source.files[names[4]]?.behaviour = .shrinks(attempts: 2)
        source.files[names[5]]?.behaviour = .changes(attempts: .max)
        source.files[names[6]]?.behaviour = .shrinks(attempts: .max)
        source.unreadableFolders = ["locked"]
        source.files["locked/file"] = .init(content: [1])
        let (wing, report) = try await backUp(source)
        let reasons = Dictionary(
            uniqueKeysWithValues: report.snapshot.skipped.map { (String(decoding: $0.path, as: UTF8.self), $0.reason) })
        #expect(
            reasons == [
                names[0]: .unreadable, names[1]: .vanished, names[2]: .unreadable, names[5]: .changedWhileRead,
                names[6]: .unreadable, "locked": .unreadable,
            ])
        #expect(report.snapshot.totals.skipped == 6)
        let (files, restored) = try await wing.restored()
        #expect(files.keys.sorted() == [3, 4, 5, 7, 8].map { names[$0] })
        #expect(files.allSatisfy { source.files[$0.key]?.content == $0.value })
        #expect(restored.missing == [])
        #expect(try await wing.verify().findings == [])
    }

    @Test func `a source that goes away while it is read makes no snapshot`() async throws {
        for look in 1...3 {
            var source = MemorySource(contents(0..<4))
            source.vanishesAtLook = look
            let store = MemoryStore()
            let wing = try await Wing(store)
            await #expect(throws: BackupError.source(.noSource("memory"))) { try await wing.backUp(source) }
            #expect(try await wing.open().snapshotNames() == [])
        }
    }

    @Test func `what a person would miss is named before what is no loss`() async throws {
        var source = MemorySource([:])
        for number in 0..<250 { source.files["gone \(number)"] = .init(content: [1], behaviour: .vanished) }
        for name in ["x", "y"] { source.files[name] = .init(content: [1], behaviour: .unreadable) }
        let skipped = try await backUp(source).1.snapshot
        #expect(skipped.totals.skipped == 252 && skipped.skipped.count == 200)
        #expect(skipped.skipped.suffix(2).map(\.path) == [Array("x".utf8), Array("y".utf8)])
        #expect(skipped.skipped.count { $0.reason.isLoss } == 2)
    }

    @Test func `many skipped files with long paths fit the snapshot`() async throws {
        var source = MemorySource([:])
        for number in 0..<300 {
            let path = "\(number)" + String(repeating: "x", count: 2_000)
            source.files[path] = .init(content: [1], behaviour: .unreadable)
        }
        let (wing, report) = try await backUp(source)
        #expect(report.snapshot.totals.skipped == 300)
        #expect((20...40).contains(report.snapshot.skipped.count))
        #expect(try await wing.verify().findings == [])
    }

    @Test func `a full target ends a restore and leaves no half file`() async throws {
        let (wing, _) = try await backUp(MemorySource(contents(0..<5)))
        let repository = try await wing.open()
        let snapshot = try await repository.snapshot(try await repository.snapshotNames()[0])
        let target = MemoryTarget()
        target.roomBytes = 3_000
        await #expect(throws: RestoreError.self) {
            _ = try await Restore.run(
                snapshot, from: repository, try await repository.loadIndex().index, into: target, report: { _ in })
        }
        #expect(!target.isFileOpen)
        #expect(target.files.allSatisfy { contents(0..<5)[$0.key] == $0.value })
    }
}
