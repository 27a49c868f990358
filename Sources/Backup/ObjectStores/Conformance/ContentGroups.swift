import BackupEngine
import BackupFormat
import Foundation

/// What is written is what is read.
extension StoreConformance.Group {
    typealias Outcome = StoreConformance.Outcome

    static func missingObjects(_ trial: Trial) async throws -> Outcome {
        let store = trial.store
        for name in trial.namesOfEveryKind {
            try await trial.require(.notFound(name.path), from: "reading what is not there") {
                () async throws(ObjectStoreError) in _ = try await store.read(name)
            }
            try await trial.require(.notFound(name.path), from: "reading a part of what is not there") {
                () async throws(ObjectStoreError) in _ = try await store.read(name, 0..<1)
            }
            try await trial.require(.notFound(name.path), from: "asking for the size of what is not there") {
                () async throws(ObjectStoreError) in _ = try await store.size(of: name)
            }
            try await store.delete(name)
        }
        for folder in ObjectName.Folder.allCases { try await trial.require(folder, lists: [], "of a new store") }
        return .passed
    }

    static func manySizes(_ trial: Trial) async throws -> Outcome {
        for (number, size) in trial.extent.sizes.enumerated() {
            let name = trial.pack(number)
            let content = Noise.bytes(size, seed: UInt64(number))
            if number.isMultiple(of: 2) {
                try await trial.store.create(name, content)
            } else {
                try await handOver(content, as: name, in: 3, to: trial.store)
            }
            try trial.require(
                try await trial.store.size(of: name) == size, "the size of an object of \(size) bytes is another one")
            try await trial.require(name, holds: content, "of \(size) bytes")
            try await trial.store.delete(name)
        }
        return .passed
    }

    /// In parts of one length, but for the last.
    static func handOver(
        _ content: [UInt8], as name: ObjectName, in parts: Int, to store: any ObjectStore
    ) async throws(ObjectStoreError) {
        let upload = try await store.begin(name)
        do throws(ObjectStoreError) {
            try await append(content, in: parts, to: upload)
            try await upload.finish()
        } catch {
            await upload.abandon()
            throw error
        }
    }

    static func append(
        _ content: [UInt8], in parts: Int, to upload: any ObjectUpload
    ) async throws(ObjectStoreError) {
        let lent = UnsafeMutableRawBufferPointer.allocate(byteCount: content.count, alignment: 1)
        defer { lent.deallocate() }
        lent.copyBytes(from: content)
        let length = max(1, content.count / parts)
        for start in stride(from: 0, to: content.count, by: length) {
            let end = min(start + length, content.count)
            try await upload.append(UnsafeRawBufferPointer(rebasing: lent[start..<end]))
        }
    }

    static func ranges(_ trial: Trial) async throws -> Outcome {
        let store = trial.store
        let count = 300_001
        let name = trial.pack(1)
        let content = Noise.bytes(count, seed: 3)
        try await store.create(name, content)
        for range in [0..<0, 0..<1, 0..<count, count / 3..<count / 2, count - 1..<count, count..<count] {
            let found = try await store.read(name, range)
            try trial.require(Noise.equal(found, Array(content[range])), "the part \(range) is another one")
        }
        for range in [0..<count + 1, count - 1..<count + 4, count..<count + 1, count + 5..<count + 9] {
            try await trial.require(.truncated(name.path), from: "reading \(range) of \(count) bytes") {
                () async throws(ObjectStoreError) in _ = try await store.read(name, range)
            }
        }
        let lent = UnsafeMutableRawBufferPointer.allocate(byteCount: 1_000, alignment: 1)
        defer { lent.deallocate() }
        try await store.read(name, at: 4_321, into: lent)
        try trial.require(
            Noise.equal(Array(lent), Array(content[4_321..<5_321])), "a part in lent memory is another one")
        try await trial.require(.truncated(name.path), from: "reading beyond the end into lent memory") {
            () async throws(ObjectStoreError) in try await store.read(name, at: count - 999, into: lent)
        }
        let empty = trial.pack(2)
        try await store.create(empty, [])
        try trial.require(try await store.read(empty, 0..<0) == [], "a part of nothing is something")
        try await trial.require(.truncated(empty.path), from: "reading a byte of nothing") {
            () async throws(ObjectStoreError) in _ = try await store.read(empty, 0..<1)
        }
        return .passed
    }

    static func names(_ trial: Trial) async throws -> Outcome {
        let names = trial.namesOfEveryKind
        for (number, name) in names.enumerated() { try await trial.store.create(name, [UInt8(number), 1, 2]) }
        for (number, name) in names.enumerated() {
            try await trial.require(name, holds: [UInt8(number), 1, 2], "beside others")
        }
        for folder in ObjectName.Folder.allCases {
            try await trial.require(
                folder, lists: Set(names.filter { $0.path.hasPrefix("\(folder.rawValue)/") }), "of names of every kind")
        }
        return .passed
    }

    static func deleting(_ trial: Trial) async throws -> Outcome {
        let store = trial.store
        let snapshot = ObjectName.snapshot(SnapshotName(number: 3, id: trial.id(3)))
        for (name, folder) in [
            (trial.pack(1), ObjectName.Folder.packs), (trial.index(2), .index), (snapshot, .snapshots),
        ] {
            try await store.create(name, [1, 2, 3])
            try await store.delete(name)
            try await trial.require(.notFound(name.path), from: "reading what was deleted") {
                () async throws(ObjectStoreError) in _ = try await store.read(name)
            }
            try await trial.require(.notFound(name.path), from: "asking for the size of what was deleted") {
                () async throws(ObjectStoreError) in _ = try await store.size(of: name)
            }
            try trial.require(
                try await !store.list(folder).contains(name), "a list names what was deleted")
            try await store.delete(name)
            try await store.create(name, [4, 5])
            try await trial.require(name, holds: [4, 5], "after it was deleted and created again")
            try trial.require(try await store.size(of: name) == 2, "an object that was created again has its old size")
        }
        return .passed
    }

    static func room(_ trial: Trial) async throws -> Outcome {
        let known =
            await trial.store.freeBytes().map { "it says that \($0 / 1_000_000) MB are free" }
            ?? "it does not say how much it takes"
        return .notApplicable("it would have to be filled; \(known)")
    }
}
