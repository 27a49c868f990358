import BackupEngine
import BackupFormat
import BackupSources
import ByteCoding
import Foundation
import ObjectStores
import Primitives
import Synchronization
import TestSupport
import Testing

@testable import Coffer

/// A folder store that counts how often each object is read whole.
private final class CountingStore: StoreAround {
    private let store: FolderStore
    var inner: any ObjectStore { store }
    private let reads = Mutex<[ObjectName: Int]>([:])

    init(_ store: FolderStore) { self.store = store }

    func takeReads() -> [ObjectName: Int] {
        reads.withLock { reads in
            defer { reads = [:] }
            return reads
        }
    }

    func read(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8] {
        reads.withLock { $0[name, default: 0] += 1 }
        return try await store.read(name)
    }
}

@Suite struct `A restore of a store with backups of several folders` {
    @Test func `reads each snapshot once, and says before it writes which one it takes`() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "reads-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        for name in ["one", "two"] {
            try FileManager.default.createDirectory(
                at: folder.appending(path: name), withIntermediateDirectories: true)
            try Data(name.utf8).write(to: folder.appending(path: "\(name)/file"))
        }
        var generator = SeededGenerator(seed: 5)
        let key = BackupKey.random(using: &generator)
        let store = CountingStore(FolderStore(path: folder.appending(path: "store").path))
        let repository = try await Repository.create(
            in: store, id: try StoreID(generator.bytes(StoreID.byteCount)), key: key, fleet: nil, now: 1,
            using: &generator)
        for name in ["one", "two", "one", "two"] {
            _ = try await Backup.run(
                try FolderSource(path: folder.appending(path: name).path), into: repository,
                generator: SystemRandomNumberGenerator(), now: { 1 }, report: { _ in })
        }
        let backup = OpenedBackup(repository, key: key)
        _ = store.takeReads()
        var said: [String] = []
        let target = folder.appending(path: "back").path
        let summary = try await backup.restore(
            to: target,
            saying: { note in
                said.append(note)
                #expect(!FileManager.default.fileExists(atPath: target))
            }, progress: { _ in })
        let reads = store.takeReads().filter { if case .snapshot = $0.key { true } else { false } }
        #expect(reads.count == 4 && reads.values.allSatisfy { $0 == 1 })
        #expect(said.count == 1 && said[0].contains("Snapshot 4 is taken") && said[0].contains("/one, 3"))
        #expect(summary.notes == said)
        _ = try await backup.restore(.number(1), to: target + "-first", saying: { said.append($0) }, progress: { _ in })
        #expect(said.count == 1 && store.takeReads().count { if case .snapshot = $0.key { true } else { false } } == 1)
    }
}
