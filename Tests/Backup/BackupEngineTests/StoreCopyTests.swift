import BackupEngine
import BackupFormat
import Synchronization
import TestSupport
import Testing

/// A store far away: its lists tell sizes, it counts what it is asked, and it takes several uploads at a time.
private final class FarStore: StoreAround {
    struct Asked: Sendable {
        var sizes = 0
        var wholeBytesMax = 0
        var partBytesMax = 0
        var uploads = 0
        var uploadsPeak = 0
    }

    let store: MemoryStore
    var inner: any ObjectStore { store }
    private let state = Mutex(Asked())
    /// What a list says instead.
    private let told: @Sendable (ObjectName, Int) -> Int

    let uploadsAtOnce = 4

    init(_ store: MemoryStore, telling told: @escaping @Sendable (ObjectName, Int) -> Int = { $1 }) {
        self.store = store
        self.told = told
    }

    var asked: Asked { state.withLock { $0 } }

    func listed(_ folder: ObjectName.Folder) async throws(ObjectStoreError) -> [ListedObject] {
        let contents = store.contents
        return try await list(folder).map { ListedObject(name: $0, bytes: told($0, contents[$0]?.count ?? 0)) }
    }

    func begin(_ name: ObjectName) async throws(ObjectStoreError) -> any ObjectUpload {
        state.withLock { state in
            state.uploads += 1
            state.uploadsPeak = max(state.uploadsPeak, state.uploads)
        }
        return FarUpload(try await store.begin(name), self)
    }

    fileprivate func end() { state.withLock { $0.uploads -= 1 } }
    fileprivate func notePart(_ count: Int) { state.withLock { $0.partBytesMax = max($0.partBytesMax, count) } }

    func create(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        state.withLock { $0.wholeBytesMax = max($0.wholeBytesMax, bytes.count) }
        try await store.create(name, bytes)
    }

    func read(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8] {
        let bytes = try await store.read(name)
        state.withLock { $0.wholeBytesMax = max($0.wholeBytesMax, bytes.count) }
        return bytes
    }

    func read(_ name: ObjectName, _ range: Range<Int>) async throws(ObjectStoreError) -> [UInt8] {
        notePart(range.count)
        return try await store.read(name, range)
    }

    func size(of name: ObjectName) async throws(ObjectStoreError) -> Int {
        if name != .header { state.withLock { $0.sizes += 1 } }
        return try await store.size(of: name)
    }
}

private final class FarUpload: ObjectUpload {
    private let upload: any ObjectUpload
    private let store: FarStore

    init(_ upload: any ObjectUpload, _ store: FarStore) {
        self.upload = upload
        self.store = store
    }

    func append(_ bytes: UnsafeRawBufferPointer) async throws(ObjectStoreError) {
        store.notePart(bytes.count)
        // The others come in between.
        await Task.yield()
        try await upload.append(bytes)
    }

    func finish() async throws(ObjectStoreError) {
        try await upload.finish()
        store.end()
    }

    func abandon() async {
        await upload.abandon()
        store.end()
    }
}

private func isPack(_ name: ObjectName) -> Bool { if case .pack = name { true } else { false } }

@Suite struct `A store that is copied far away` {
    private let source = MemoryStore()

    private func wing() async throws -> Wing {
        let wing = try await Wing(source)
        let files = (0..<6).map { ("\($0)", noise(4_100_000, seed: UInt64($0))) }
        try await wing.backUp(
            MemorySource(Dictionary(uniqueKeysWithValues: files)), packBytes: 5_000_000)
        return wing
    }

    @Test func `goes in parts, several at a time, and no size is asked for that a list has told`() async throws {
        let wing = try await wing()
        let (from, to) = (FarStore(source), FarStore(MemoryStore()))
        let report = try await StoreCopy.run(from: try await wing.over(from).open(), to: to, progress: { _ in })
        #expect(to.store.contents == source.contents)
        #expect(report.objects == source.contents.count - 1 && report.alreadyThere == 0)
        #expect(from.asked.sizes == 0 && to.asked.sizes == 0)
        for asked in [from.asked, to.asked] {
            #expect(asked.wholeBytesMax < 2 << 20 && asked.partBytesMax <= 2 << 20)
        }
        #expect((2...4).contains(to.asked.uploadsPeak) && to.asked.uploads == 0)
        // Once more: all is there, by the list alone.
        let again = try await StoreCopy.run(from: try await wing.over(from).open(), to: to, progress: { _ in })
        #expect(again.objects == 0 && again.alreadyThere == report.objects && to.asked.sizes == 0)
        let findings = try await wing.over(to).verify(deep: false).findings
        #expect(findings == [] && to.asked.sizes == 0)
    }

    @Test(arguments: [-1, 1, -3_000_000])
    func `is not cut where a list tells another size`(difference: Int) async throws {
        let wing = try await wing()
        let pack = try #require(source.names.first { isPack($0) && (source.contents[$0]?.count ?? 0) > 4_000_000 })
        let lying = FarStore(source) { $0 == pack ? $1 + difference : $1 }
        let target = FarStore(MemoryStore())
        await #expect(throws: StoreCopyError.self) {
            _ = try await StoreCopy.run(from: try await wing.over(lying).open(), to: target, progress: { _ in })
        }
        #expect(target.store.contents[.header] == nil && target.store.contents[pack] == nil)
        #expect(target.asked.uploads == 0)
        _ = try await StoreCopy.run(from: try await wing.over(source).open(), to: target, progress: { _ in })
        #expect(target.store.contents == source.contents)
    }

    @Test func `is no store as long as the place does not show all of it`() async throws {
        let wing = try await wing()
        let pack = try #require(source.names.first(where: isPack))
        let target = FarStore(MemoryStore()) { $0 == pack ? $1 - 1 : $1 }
        await #expect(throws: StoreCopyError.differs(pack.path)) {
            _ = try await StoreCopy.run(from: try await wing.open(), to: target, progress: { _ in })
        }
        #expect(target.store.contents[.header] == nil)
    }
}
