import BackupEngine
import BackupFormat
import ObjectStores
import Synchronization
import Testing

/// The contract's suite finds what stores do wrong.
@Suite struct `A test of a store` {
    @Test(arguments: Bend.allCases)
    func `finds what is bent, and nothing else`(_ bend: Bend) async throws {
        let store = BentStore(bend)
        let findings = try await StoreConformance(store, peer: store, extent: .quick).run()
        #expect(findings.map(\.group.number) == Array(1...18))
        let notPassed = Set(
            findings.filter {
                switch $0.outcome {
                case .failed, .weaker: true
                case .passed, .notApplicable: false
                }
            }.map(\.group.number))
        #expect(notPassed == bend.found, "\(findings.map(\.outcome))")
        if bend != .keepsWhatIsDeleted { #expect(store.inner.names == []) }
    }

    @Test func `that lets the last of many writers win is told apart from one that writes over objects`() async throws {
        func outcome(_ bend: Bend) async throws -> StoreConformance.Outcome? {
            let group = StoreConformance.Group.all.filter { $0.number == 5 }
            return try await StoreConformance(BentStore(bend), extent: .quick).run(group).first?.outcome
        }
        guard case .weaker = try await outcome(.looksBeforeItWrites) else {
            Issue.record("not weaker")
            return
        }
        guard case .failed = try await outcome(.writesOver) else {
            Issue.record("not failed")
            return
        }
    }

    @Test func `moves no more than it said before`() async throws {
        for extent in [StoreConformance.Extent.quick, `Every store`.extent] {
            let store = MemoryStore()
            let conformance = StoreConformance(store, peer: store, extent: extent)
            let findings = try await conformance.run()
            for finding in findings {
                let most = finding.group.bytes(extent)
                #expect(finding.bytesUp <= most.up, "\(finding.group)")
                #expect(finding.bytesDown <= most.down, "\(finding.group)")
            }
            let up = findings.reduce(0) { $0 + $1.bytesUp }
            #expect(up <= conformance.bytesUpMax && up > conformance.bytesUpMax / 3)
        }
    }

    @Test func `touches nothing that no test has written`() async throws {
        let stores: [[ObjectName: [UInt8]]] = [
            [.header: [1]], [.pack(`Every store`.id(1)): [1]], [.keyring(number: 1, copy: .a): []],
            [.header: Array("{\"coffer\": 1}".utf8), .removal(`Every store`.id(1)): [2]],
        ]
        for contents in stores {
            let store = MemoryStore(contents)
            await #expect(throws: StoreConformance.Refusal.taken) {
                _ = try await StoreConformance(store, extent: .quick).run()
            }
            #expect(store.contents == contents)
        }
    }

    @Test func `is rid of what a test that was killed left, wherever it was`() async throws {
        let groups = StoreConformance.Group.all.filter { [6, 15].contains($0.number) }
        // From within the first group to the end of the last.
        var calls = 10
        while true {
            let left = BentStore(.none)
            left.diesAfter(calls)
            let result = await Task {
                try await StoreConformance(left, peer: left, extent: .quick).run(groups)
            }.result
            if (try? result.get()) != nil { break }
            #expect(left.inner.names.count > 0)
            let next = BentStore(.none, left.inner)
            let findings = try await StoreConformance(next, extent: .quick).run(groups)
            #expect(findings.allSatisfy { if case .failed = $0.outcome { false } else { true } })
            #expect(left.inner.names == [])
            calls += 11
        }
        #expect(calls > 100)
    }

    @Test func `looks for what may be left only where something may be`() async throws {
        let store = BentStore(.none)
        let groups = StoreConformance.Group.all.filter { [8, 9, 12, 13].contains($0.number) }
        _ = try await StoreConformance(store, extent: .quick).run(groups)
        // Before the first and after the last.
        #expect(store.listCount == 2 * ObjectName.Folder.allCases.count)
    }

    @Test func `that finds something left of uploads tells apart whether it can be removed`() async throws {
        func outcome(_ bend: Bend) async throws -> StoreConformance.Outcome? {
            let group = StoreConformance.Group.all.filter { $0.number == 7 }
            return try await StoreConformance(BentStore(bend), extent: .quick).run(group).first?.outcome
        }
        guard case .weaker = try await outcome(.leavesWhatWasStopped) else {
            Issue.record("not weaker")
            return
        }
        for bend in [Bend.keepsWhatWasStopped, .keepsWhatWasGivenUp] {
            guard case .failed = try await outcome(bend) else {
                Issue.record("not failed")
                return
            }
        }
    }

    @Test func `that is stopped deletes what it wrote`() async throws {
        let store = BentStore(.none)
        let groups = Mutex(0)
        let test = Task {
            try await StoreConformance(store, extent: .quick).run { _ in
                groups.withLock { $0 += 1 }
                withUnsafeCurrentTask { $0?.cancel() }
            }
        }
        await #expect(throws: StoreConformance.Refusal.cancelled) { _ = try await test.value }
        #expect(groups.withLock { $0 } == 1)
        #expect(store.inner.names == [])
    }

    @Test func `goes no further on a store that went away`() async throws {
        let store = BentStore(.none)
        store.diesAfter(120)
        let seen = Mutex<[StoreConformance.Outcome]>([])
        await #expect(throws: StoreConformance.Refusal.store(.failed("the line is dead"))) {
            _ = try await StoreConformance(store, extent: .quick).run { finding in
                seen.withLock { $0.append(finding.outcome) }
            }
        }
        let outcomes = seen.withLock { $0 }
        #expect(outcomes.count == 18)
        #expect(outcomes.count { if case .failed = $0 { true } else { false } } == 1)
    }
}

/// What a store may do wrong.
enum Bend: String, CaseIterable, Sendable {
    case none
    case writesOver
    case looksBeforeItWrites
    case losesTheLastByte
    case givesShortParts
    case listsTwice
    case listsOnlySome
    case listsOtherFolders
    case listsLate
    case keepsWhatIsDeleted
    case deniesThatItIsMissing
    case replacesInTwoSteps
    case showsWhatIsOnItsWay
    case keepsWhatWasGivenUp
    case leavesWhatWasStopped
    case keepsWhatWasStopped
    case saysAnotherSize

    /// The groups that do not pass.
    var found: Set<Int> {
        switch self {
        case .none: []
        case .writesOver: [5, 15]
        case .looksBeforeItWrites: [5]
        case .losesTheLastByte: [2, 3, 5, 7, 10, 11, 15]
        case .givesShortParts: [3]
        case .listsTwice: [4, 10]
        case .listsOnlySome: [4]
        case .listsOtherFolders: [4, 10]
        case .listsLate: [4, 10, 15]
        case .keepsWhatIsDeleted: [4, 7, 10, 11]
        case .deniesThatItIsMissing: [1, 11]
        case .replacesInTwoSteps: [6]
        case .showsWhatIsOnItsWay: [2, 7]
        case .keepsWhatWasGivenUp, .leavesWhatWasStopped, .keepsWhatWasStopped: [7]
        case .saysAnotherSize: [2, 11]
        }
    }

}

/// A store in memory that does one thing wrong.
final class BentStore: ObjectStore {
    let inner: MemoryStore
    private let bend: Bend
    private let callsLeft = Mutex(Int.max)
    private let unlisted = Mutex<ObjectName?>(nil)
    private let lost = Mutex<UInt64>(0)
    private let readCount = Mutex(0)
    private let lists = Mutex(0)

    init(_ bend: Bend, _ inner: MemoryStore = MemoryStore()) {
        self.bend = bend
        self.inner = inner
    }

    let place = "memory that is bent"

    var listCount: Int { lists.withLock { $0 } }

    func diesAfter(_ calls: Int) { callsLeft.withLock { $0 = calls } }

    private func call() throws(ObjectStoreError) {
        let isAlive = callsLeft.withLock { left in
            left -= 1
            return left >= 0
        }
        guard isAlive else { throw .failed("the line is dead") }
    }

    func create(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        try call()
        unlisted.withLock { $0 = name }
        switch bend {
        case .writesOver: try await inner.replace(name, bytes)
        case .looksBeforeItWrites:
            guard inner.contents[name] == nil else { throw .exists(name.path) }
            for _ in 0..<100 { await Task.yield() }
            try await inner.replace(name, bytes)
        case .losesTheLastByte where name != .header: try await inner.create(name, bytes.dropLast())
        default: try await inner.create(name, bytes)
        }
    }

    func begin(_ name: ObjectName) async throws(ObjectStoreError) -> any ObjectUpload {
        if bend == .showsWhatIsOnItsWay { inner.contents[name] = inner.contents[name] ?? [0] }
        return BentUpload(self, name, bend) { count in self.lost.withLock { $0 += UInt64(count) } }
    }

    func replace(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        try call()
        if bend == .replacesInTwoSteps {
            let before = readCount.withLock { $0 }
            try await inner.replace(name, Array(bytes.prefix(bytes.count / 2)))
            // Until somebody has read the half, if there is anybody.
            for _ in 0..<20_000 where readCount.withLock({ $0 }) < before + 2 { await Task.yield() }
        }
        try await inner.replace(name, bytes)
    }

    func read(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8] {
        try call()
        readCount.withLock { $0 += 1 }
        return try await inner.read(name)
    }

    func read(_ name: ObjectName, _ range: Range<Int>) async throws(ObjectStoreError) -> [UInt8] {
        try call()
        guard bend == .givesShortParts else { return try await inner.read(name, range) }
        return Array(try await inner.read(name).dropFirst(range.lowerBound).prefix(range.count))
    }

    func size(of name: ObjectName) async throws(ObjectStoreError) -> Int {
        try call()
        if bend == .deniesThatItIsMissing, inner.contents[name] == nil { return 0 }
        return try await inner.size(of: name) + (bend == .saysAnotherSize && name != .header ? 1 : 0)
    }

    func list(_ folder: ObjectName.Folder) async throws(ObjectStoreError) -> [ObjectName] {
        try call()
        lists.withLock { $0 += 1 }
        let names = try await inner.list(folder)
        switch bend {
        case .listsTwice: return names + names.prefix(1)
        case .listsOnlySome: return Array(names.sorted { $0.path < $1.path }.prefix(20))
        case .listsOtherFolders: return inner.names.filter { $0 != .header }
        case .listsLate: return names.filter { name in unlisted.withLock { $0 } != name }
        default: return names
        }
    }

    func delete(_ name: ObjectName) async throws(ObjectStoreError) {
        try call()
        if bend == .keepsWhatIsDeleted, name != .header, case .pack = name { return }
        try await inner.delete(name)
    }

    func abandoned(before seconds: UInt64, removing: Bool) async throws(ObjectStoreError) -> UInt64 {
        lost.withLock { lost in
            defer { if removing, bend == .leavesWhatWasStopped { lost = 0 } }
            return lost
        }
    }
}

private final class BentUpload: ObjectUpload {
    private let store: BentStore
    private let name: ObjectName
    private let bend: Bend
    private let lose: (Int) -> Void
    private var bytes: [UInt8] = []

    init(_ store: BentStore, _ name: ObjectName, _ bend: Bend, lose: @escaping (Int) -> Void) {
        self.store = store
        self.name = name
        self.bend = bend
        self.lose = lose
    }

    func append(_ bytes: UnsafeRawBufferPointer) { self.bytes.append(contentsOf: bytes) }

    func finish() async throws(ObjectStoreError) {
        if bend == .leavesWhatWasStopped || bend == .keepsWhatWasStopped {
            // Somebody may be about to stop it.
            for _ in 0..<1_000 where !Task.isCancelled { await Task.yield() }
            if Task.isCancelled {
                lose(bytes.count)
                throw .failed("it was stopped")
            }
        }
        try await store.create(name, bytes)
    }

    func abandon() { if bend == .keepsWhatWasGivenUp { lose(bytes.count) } }
}
