import BackupEngine
import BackupFormat
import TestSupport
import Testing

private func contents(_ range: Range<Int>) -> [String: [UInt8]] {
    Dictionary(uniqueKeysWithValues: range.map { ("folder-\($0 % 2)/file-\($0)", noise(900 + $0, seed: UInt64($0))) })
}

private func key(_ seed: UInt64) -> BackupKey {
    var generator = SeededGenerator(seed: seed)
    return .random(using: &generator)
}

@Suite struct `Replacing a key` {
    private func admit(_ new: BackupKey, beside wing: Wing, in store: any ObjectStore) async throws {
        var generator = SystemRandomNumberGenerator()
        try await KeyReplacement(of: wing.key, by: new, in: store, fleet: nil).admit(
            now: Wing.now + 1, using: &generator)
    }

    private func replace(_ wing: Wing, by new: BackupKey, in store: any ObjectStore) async throws {
        try await admit(new, beside: wing, in: store)
        try await KeyReplacement(of: wing.key, by: new, in: store, fleet: nil).dismiss()
    }

    @Test func `keeps every backup, uploads nothing again, and leaves the old key nothing`() async throws {
        let store = MemoryStore()
        let old = try await Wing(store)
        try await old.backUp(MemorySource(contents(0..<4)))
        let before = store.contents
        let new = old.with(key(7))
        try await replace(old, by: new.key, in: store)
        await #expect(throws: OpenError.wrongKey) { _ = try await old.open() }
        #expect(try await new.verify().findings == [])
        #expect(try await new.restored().files == contents(0..<4))
        let untouched = before.filter { name, _ in
            if case .keyring = name { return false }
            return name != .header
        }
        #expect(untouched.allSatisfy { store.contents[$0.key] == $0.value })
        #expect(store.contents.count == before.count)
        let report = try await new.backUp(MemorySource(contents(0..<4)))
        #expect(report.storedBytes < 8_000, "what the old key stored is found")
        // What is written now lies under an epoch that the old keyring did not have.
        #expect(try await new.open().keyring.current.number == 2)
        let third = new.with(key(8))
        try await replace(new, by: third.key, in: store)
        #expect(try await third.open().keyring.epochs.map(\.number) == [1, 2, 3])
        #expect(try await third.restored(number: 0).files == contents(0..<4))
    }

    @Test func `both keys open the store between the steps, and neither calls anything damaged`() async throws {
        let store = MemoryStore()
        let old = try await Wing(store)
        try await old.backUp(MemorySource(contents(0..<3)))
        let new = old.with(key(7))
        try await admit(new.key, beside: old, in: store)
        try await admit(new.key, beside: old, in: store)
        for wing in [old, new] {
            #expect(try await wing.verify().findings == [])
            #expect(try await wing.restored().files == contents(0..<3))
        }
        // A device that does not know of it goes on meanwhile.
        let repository = try await old.open()
        try await old.backUp(MemorySource(contents(0..<5)))
        try await KeyReplacement(of: old.key, by: new.key, in: store, fleet: nil).dismiss()
        _ = try await Backup.run(
            MemorySource(contents(0..<6)), into: repository, generator: SystemRandomNumberGenerator(),
            now: { Wing.now }, report: { _ in })
        #expect(try await new.verify().findings == [])
        #expect(try await new.restored().files == contents(0..<6))
    }

    @Test(arguments: FaultyStore.Fault.allCases)
    func `fails at any call and leaves a store that opens, and goes on`(fault: FaultyStore.Fault) async throws {
        let base = MemoryStore()
        let old = try await Wing(base)
        try await old.backUp(MemorySource(contents(0..<3)))
        let before = base.contents
        let new = old.with(key(7))
        let counting = FaultyStore(base, .failure, atCall: .max)
        try await replace(old, by: new.key, in: counting)
        #expect(counting.callCount > 15)
        for call in 0..<counting.callCount {
            let store = MemoryStore(before)
            let (old, new) = (old.over(store), new.over(store))
            var isAdmitted = false
            do {
                let faulty = FaultyStore(store, fault, atCall: call)
                try await admit(new.key, beside: old, in: faulty)
                isAdmitted = true
                try await KeyReplacement(of: old.key, by: new.key, in: faulty, fleet: nil).dismiss()
            } catch {}
            let opensOld = try? await old.restored().files
            let opensNew = try? await new.restored().files
            // As long as the new key was not said to open it, nobody may depend on it.
            #expect(opensOld == contents(0..<3) || isAdmitted, "call \(call)")
            #expect(opensNew == contents(0..<3) || !isAdmitted, "call \(call)")
            try await replace(old, by: new.key, in: store)
            #expect(try await new.restored().files == contents(0..<3), "call \(call)")
            #expect(try await new.verify().findings == [], "call \(call)")
            await #expect(throws: OpenError.wrongKey) { _ = try await old.open() }
            // Called again when it is done, also by a device that has noted the new key in both places.
            try await replace(new, by: new.key, in: store)
            #expect(try await new.verify().findings == [])
        }
    }

    @Test func `two devices cannot replace it at once, and the one that comes late is told`() async throws {
        let store = MemoryStore()
        let old = try await Wing(store)
        let (mine, theirs) = (key(7), key(8))
        try await admit(mine, beside: old, in: store)
        await #expect(throws: KeyReplacementError.underWay) { try await admit(theirs, beside: old, in: store) }
        await #expect(throws: KeyReplacementError.underWay) {
            try await KeyReplacement(of: old.key, by: theirs, in: store, fleet: nil).dismiss()
        }
        try await KeyReplacement(of: old.key, by: mine, in: store, fleet: nil).dismiss()
        await #expect(throws: KeyReplacementError.overtaken) { try await admit(theirs, beside: old, in: store) }
        _ = try await old.with(mine).open()
    }

    @Test func `of two devices that admit keys at one moment the first finds out before it tells anybody`() async throws
    {
        let store = MemoryStore()
        let old = try await Wing(store)
        let (mine, theirs) = (key(7), key(8))
        let other = MemoryStore(store.contents)
        try await admit(theirs, beside: old, in: other)
        try await admit(mine, beside: old, in: store)
        let replacement = KeyReplacement(of: old.key, by: mine, in: store, fleet: nil)
        try await replacement.requireAdmitted()
        store.contents[.header] = other.contents[.header]
        await #expect(throws: KeyReplacementError.underWay) { try await replacement.requireAdmitted() }
        await #expect(throws: KeyReplacementError.underWay) { try await replacement.dismiss() }
        _ = try await old.open()
    }

    @Test func `a key that takes over is the only one, and can be replaced in turn`() async throws {
        let store = MemoryStore()
        let old = try await Wing(store)
        try await old.backUp(MemorySource(contents(0..<3)))
        let (lost, mine) = (old.with(key(7)), old.with(key(8)))
        try await admit(lost.key, beside: old, in: store)
        await #expect(throws: KeyReplacementError.overtaken) {
            try await KeyReplacement.takeOver(with: mine.key, in: store, fleet: nil)
        }
        try await KeyReplacement.takeOver(with: old.key, in: store, fleet: nil)
        #expect(try await old.restored().files == contents(0..<3))
        await #expect(throws: OpenError.self) { _ = try await lost.open() }
        try await replace(old, by: mine.key, in: store)
        #expect(try await mine.restored().files == contents(0..<3))
        #expect(try await mine.verify().findings == [])
        await #expect(throws: OpenError.wrongKey) { _ = try await lost.open() }
    }

    @Test func `each step stops when another device has changed the fleet`() async throws {
        let store = MemoryStore()
        let old = try await Wing(store)
        let before = store.contents
        let stranger = KeyReplacement(of: old.key, by: key(7), in: store, fleet: "another fleet")
        var generator = SystemRandomNumberGenerator()
        await #expect(throws: KeyReplacementError.otherFleet) {
            try await stranger.admit(now: Wing.now, using: &generator)
        }
        #expect(store.contents == before)
        try await admit(key(7), beside: old, in: store)
        await #expect(throws: KeyReplacementError.otherFleet) { try await stranger.requireAdmitted() }
        await #expect(throws: KeyReplacementError.otherFleet) { try await stranger.dismiss() }
        _ = try await old.open()
    }

    @Test func `between the header and the last keyring the old key is told that it was replaced`() async throws {
        let store = MemoryStore()
        let old = try await Wing(store)
        let keyrings = store.contents.filter { if case .keyring = $0.key { true } else { false } }
        try await replace(old, by: key(7), in: store)
        for (name, object) in keyrings { store.contents[name] = object }
        await #expect(throws: OpenError.keyReplaced) { _ = try await old.open() }
    }

    @Test func `a header with two tags is another's if neither is right`() async throws {
        let store = MemoryStore()
        let old = try await Wing(store)
        try await admit(key(7), beside: old, in: store)
        await #expect(throws: OpenError.wrongKey) { _ = try await old.with(key(9)).open() }
    }
}

@Suite struct `Copying a store to another place` {
    private func copy(_ wing: Wing, from source: any ObjectStore, to target: any ObjectStore) async throws {
        _ = try await StoreCopy.run(from: try await wing.over(source).open(), to: target, progress: { _ in })
    }

    @Test(arguments: FaultyStore.Fault.allCases)
    func `fails at any call of either, is no store until it is whole, and goes on`(
        fault: FaultyStore.Fault
    ) async throws {
        let source = MemoryStore()
        let wing = try await Wing(source)
        for count in 1...3 { try await wing.backUp(MemorySource(contents(0..<2 * count))) }
        let whole = MemoryStore()
        let counting = FaultyStore(whole, .failure, atCall: .max)
        try await copy(wing, from: source, to: counting)
        #expect(whole.contents == source.contents)
        for call in 0..<counting.callCount {
            let target = MemoryStore()
            let isDone = (try? await copy(wing, from: source, to: FaultyStore(target, fault, atCall: call))) != nil
            if target.contents[.header] != nil || isDone { #expect(target.contents == source.contents, "call \(call)") }
            try await copy(wing, from: source, to: target)
            #expect(target.contents == source.contents, "call \(call)")
            #expect(try await wing.over(target).verify().findings == [])
        }
    }

    @Test func `is refused where there is something else`() async throws {
        let source = MemoryStore()
        let wing = try await Wing(source)
        try await wing.backUp(MemorySource(contents(0..<2)))
        let other = MemoryStore()
        _ = try await Wing(other, seed: 5)
        await #expect(throws: StoreCopyError.taken) { try await copy(wing, from: source, to: other) }
        other.contents[.header] = nil
        await #expect(throws: StoreCopyError.taken) { try await copy(wing, from: source, to: other) }
        let lone = MemoryStore(source.contents.filter { if case .pack = $0.key { true } else { false } })
        await #expect(throws: StoreCopyError.taken) { try await copy(wing, from: source, to: lone) }
    }

    @Test func `an object of another size is named, and nothing becomes a store`() async throws {
        let source = MemoryStore()
        let wing = try await Wing(source)
        try await wing.backUp(MemorySource(contents(0..<2)))
        let target = MemoryStore(source.contents)
        target.contents[.header] = nil
        let pack = try #require(target.names.first { if case .pack = $0 { true } else { false } })
        target.contents[pack]?.removeLast()
        await #expect(throws: StoreCopyError.differs(pack.path)) { try await copy(wing, from: source, to: target) }
        #expect(target.contents[.header] == nil)
    }
}
