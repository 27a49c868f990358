import BackupEngine
import BackupFormat
import BackupSources
import ByteCoding
import Foundation
import ObjectStores
import Primitives
import TestSupport

/// The backup wing put together as a program does it, with the randomness and the time of a test.
struct Wing {
    static let now: UInt64 = 1_800_000_000

    let store: any ObjectStore
    let key: BackupKey
    let id: StoreID

    /// Makes a new store.
    init(_ store: any ObjectStore, seed: UInt64 = 1) async throws {
        var generator = SeededGenerator(seed: seed)
        self.store = store
        key = .random(using: &generator)
        id = try StoreID(generator.bytes(StoreID.byteCount))
        _ = try await Repository.create(
            in: store, id: id, key: key, fleet: nil, now: Self.now, using: &generator)
    }

    private init(_ store: any ObjectStore, _ key: BackupKey, _ id: StoreID) {
        self.store = store
        self.key = key
        self.id = id
    }

    /// The same keys over another view of the store.
    func over(_ store: any ObjectStore) -> Wing { Wing(store, key, id) }

    /// The same store with another key.
    func with(_ key: BackupKey) -> Wing { Wing(store, key, id) }

    /// With an index that lies on the disk but for a few chunks.
    func open() async throws -> Repository {
        var repository = try await Repository.open(store, key: key)
        repository.temporaryFiles = TemporaryFiles(in: NSTemporaryDirectory())
        repository.indexRecordsMax = 16
        return repository
    }

    @discardableResult
    func backUp(
        _ source: any BackupSource, copies: (any PreviousCopies)? = nil, packBytes: Int = packBytesMax,
        ignoringRoom: Bool = false
    ) async throws -> BackupReport {
        try await Backup.run(
            source, into: try await open(), generator: SystemRandomNumberGenerator(), now: { Self.now },
            copies: copies, packBytes: packBytes, ignoringRoom: ignoringRoom, report: { _ in })
    }

    @discardableResult
    func backUp(
        _ folder: String, copies: (any PreviousCopies)? = nil, packBytes: Int = packBytesMax,
        ignoringRoom: Bool = false
    ) async throws -> BackupReport {
        try await backUp(
            try FolderSource(path: folder), copies: copies, packBytes: packBytes, ignoringRoom: ignoringRoom)
    }

    /// - Parameter number: counted from the oldest; the newest if nil.
    func restore(
        to folder: String, number: Int? = nil, intoExisting: Bool = false, only paths: String...,
        wants: (@Sendable ([UInt8], Entry) -> Bool)? = nil
    ) async throws -> RestoreReport {
        let repository = try await open()
        let names = try await repository.snapshotNames()
        let snapshot = try await repository.snapshot(names[number ?? names.count - 1])
        return try await Restore.run(
            snapshot, from: repository, try await repository.loadIndex().index,
            choosing: RestoreChoice(paths: paths.map { Array($0.utf8) }, wants: wants),
            into: try FolderTarget(path: folder, intoExisting: intoExisting), report: { _ in })
    }

    func verify(deep: Bool = true) async throws -> VerifyReport { try await verify(try await open(), deep: deep) }

    func verify(_ repository: Repository, deep: Bool = true) async throws -> VerifyReport {
        try await Verify.run(
            repository, snapshot: try await repository.snapshotNames().last, deep: deep, report: { _ in })
    }
}
