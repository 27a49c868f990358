package import BackupEngine
package import BackupFormat
import ByteCoding
import Primitives
import Synchronization

/// A store in one zone of a person's private database in CloudKit, by its web services: one record for each object. That a record is
/// made only where there is none is CloudKit's own promise.
package final class CloudKitStore: ObjectStore {
    /// How long the addresses of a record's assets are used; CloudKit does not say how long they are good for.
    private static let knownSeconds: UInt64 = 300
    private static let knownMax = 64

    private struct Known {
        var content: CloudKitContent
        var since: UInt64
    }

    private let client: CloudKitClient
    private let assets: CloudKitAssets
    private let catalog: CloudKitCatalog
    private let now: @Sendable () -> UInt64
    private let known = Mutex<[String: Known]>([:])
    /// Whether the zone was there in this run.
    private let isZoneSeen = Mutex(false)

    /// - Parameter now: seconds since 1970.
    package init(_ client: CloudKitClient, now: @escaping @Sendable () -> UInt64) {
        self.client = client
        self.now = now
        assets = CloudKitAssets(client: client)
        catalog = CloudKitCatalog(client)
    }

    package var place: String { client.address.text }
    /// Requests go one after the other; only bytes come and go together.
    package let uploadsAtOnce = 3

    // MARK: Writing

    package func create(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        try await create(name, .bytes(bytes))
    }

    package func begin(_ name: ObjectName) async throws(ObjectStoreError) -> any ObjectUpload {
        try SpooledUpload { (spooled) async throws(ObjectStoreError) in try await self.create(name, .spooled(spooled)) }
    }

    private func create(_ name: ObjectName, _ content: StoreBody) async throws(ObjectStoreError) {
        let mark = Self.newMark()
        try await words(name) { () throws(StoreFailure) in
            do throws(StoreFailure) {
                try await self.write("create", name, content, mark: mark)
            } catch  where error.kind == .exists {
                // A record that an earlier try made, whose answer was lost, has our mark.
                guard try await self.mark(of: name) == mark else { throw error }
            }
        }
    }

    private static func newMark() -> String {
        var generator = SystemRandomNumberGenerator()
        return Hex.encode(generator.bytes(16))
    }

    package func replace(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        try await words(name) { () throws(StoreFailure) in
            try await self.write("forceReplace", name, .bytes(bytes), mark: Self.newMark())
        }
    }

    private func write(
        _ operation: String, _ name: ObjectName, _ content: StoreBody, mark: String
    ) async throws(StoreFailure) {
        do { try await writeInZone(operation, name, content, mark: mark) } catch  where error.kind == .noParent {
            // Nothing but what a new store begins with may make the zone: half a backup must not go where none is.
            guard !name.isRandom, !isZoneSeen.withLock({ $0 }) else { throw Self.zoneGone }
            let _: CloudKitNothing = try await client.call("zones/modify", CloudKitZones("create", client.zone))
            do { try await writeInZone(operation, name, content, mark: mark) } catch  where error.kind == .noParent {
                throw StoreFailure(.transient, "its zone was made, and is not there yet")
            }
        }
        forget(name)
    }

    private func writeInZone(
        _ operation: String, _ name: ObjectName, _ content: StoreBody, mark: String
    ) async throws(StoreFailure) {
        var fields = try await assets.fields(content, name: name.recordName)
        fields["mark"] = CloudKitField(.text(mark))
        try await modify(
            operation,
            CloudKitRecord(recordName: name.recordName, recordType: CloudKitContent.recordType, fields: fields))
    }

    private func modify(_ operation: String, _ record: CloudKitRecord) async throws(StoreFailure) {
        let answer: CloudKitRecords = try await client.call(
            "records/modify",
            CloudKitModify(
                zoneID: client.zone, operations: [.init(operationType: operation, record: record)],
                desiredKeys: ["size"]), of: record.recordName)
        guard answer.records.map(\.recordName) == [record.recordName] else { throw Self.otherRecord }
        isZoneSeen.withLock { $0 = true }
    }

    private func mark(of name: ObjectName) async throws(StoreFailure) -> String? {
        do {
            guard case .text(let mark)? = try await record(name, ["mark"]).fields?["mark"]?.value else { return nil }
            return mark
        } catch  where error.kind == .missing {
            throw StoreFailure(.transient, "its name was taken, and then not there")
        }
    }

    package func delete(_ name: ObjectName) async throws(ObjectStoreError) {
        forget(name)
        try await words(name) { () throws(StoreFailure) in
            do throws(StoreFailure) {
                try await self.modify("forceDelete", CloudKitRecord(recordName: name.recordName))
            } catch  where error.kind == .missing || error.kind == .noParent {}
        }
    }

    /// The zone, if nothing at all lies in it.
    package func removeFolders() async {
        guard let names = try? await catalog.names(anew: true), names.isEmpty else { return }
        let _: CloudKitNothing? = try? await client.call("zones/modify", CloudKitZones("delete", client.zone))
        isZoneSeen.withLock { $0 = false }
        catalog.forget()
    }

    // MARK: Reading

    package func read(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8] {
        try await found(name) { (content) throws(StoreFailure) in
            try await self.assets.read(0..<content.size, of: content)
        }
    }

    package func read(_ name: ObjectName, _ range: Range<Int>) async throws(ObjectStoreError) -> [UInt8] {
        try await found(name) { (content) throws(StoreFailure) in
            guard range.upperBound <= content.size else { throw StoreFailure(.rangeInvalid, "") }
            return try await self.assets.read(range, of: content)
        }
    }

    package func size(of name: ObjectName) async throws(ObjectStoreError) -> Int {
        try await words(name) { () throws(StoreFailure) in
            guard case .number(let size)? = try await self.record(name, ["size"]).fields?["size"]?.value, size >= 0
            else { throw Self.foreign }
            return size
        }
    }

    package func list(_ folder: ObjectName.Folder) async throws(ObjectStoreError) -> [ObjectName] {
        let names = try await words(nil) { () throws(StoreFailure) in
            do throws(StoreFailure) {
                let names = try await self.catalog.names()
                self.isZoneSeen.withLock { $0 = true }
                return names
            } catch  where error.kind == .noParent {
                guard !self.isZoneSeen.withLock({ $0 }) else { throw Self.zoneGone }
                return []
            }
        }
        let prefix = "\(folder.rawValue)_"
        return names.filter { $0.hasPrefix(prefix) }.compactMap { ObjectName(recordName: $0) }
    }

    /// Uses what the record says now, or said lately: its assets' addresses end after a while.
    private func found(
        _ name: ObjectName, _ use: (CloudKitContent) async throws(StoreFailure) -> [UInt8]
    ) async throws(ObjectStoreError) -> [UInt8] {
        try await words(name) { () throws(StoreFailure) in
            if let known = self.recent(name) {
                do throws(StoreFailure) { return try await use(known) } catch  where error.kind == .missing {
                    self.forget(name)
                }
            }
            var failures = 0
            while true {
                let content = try await self.content(name)
                do throws(StoreFailure) { return try await use(content) } catch  where error.kind == .missing {
                    self.forget(name)
                    failures += 1
                    // The record says that they are there, though perhaps not on every server yet.
                    guard failures < CloudKitAssets.rounds, !Task.isCancelled else {
                        throw StoreFailure(.transient, "its bytes cannot be had (\(error.detail))")
                    }
                    await self.client.assets.pause(afterFailures: failures)
                }
            }
        }
    }

    private func content(_ name: ObjectName) async throws(StoreFailure) -> CloudKitContent {
        guard let content = CloudKitContent(try await record(name, CloudKitContent.allFields)) else {
            throw Self.foreign
        }
        guard content.size <= name.bytesMax else {
            throw StoreFailure(.permanent, "it is larger than any object of its kind")
        }
        guard content.bytes == nil else { return content }
        let now = now()
        known.withLock { known in
            if known.count >= Self.knownMax { known = known.filter { $0.value.since &+ Self.knownSeconds > now } }
            if known.count >= Self.knownMax { known = [:] }
            known[name.recordName] = Known(content: content, since: now)
        }
        return content
    }

    private func recent(_ name: ObjectName) -> CloudKitContent? {
        let now = now()
        return known.withLock { known in
            guard let found = known[name.recordName], found.since <= now, now - found.since < Self.knownSeconds
            else { return nil }
            return found.content
        }
    }

    private func forget(_ name: ObjectName) { known.withLock { $0[name.recordName] = nil } }

    private func record(_ name: ObjectName, _ fields: [String]) async throws(StoreFailure) -> CloudKitRecord {
        let answer: CloudKitRecords
        do {
            answer = try await client.call(
                "records/lookup",
                CloudKitLookup(
                    zoneID: client.zone, records: [.init(recordName: name.recordName, desiredKeys: fields)]),
                of: name.recordName)
        } catch  where error.kind == .noParent {
            guard !isZoneSeen.withLock({ $0 }) else { throw Self.zoneGone }
            throw StoreFailure(.missing, error.detail)
        }
        isZoneSeen.withLock { $0 = true }
        guard answer.records.count == 1, let record = answer.records.first, record.recordName == name.recordName,
            record.deleted != true
        else { throw Self.otherRecord }
        return record
    }

    // MARK: Words

    private static let foreign = StoreFailure(.permanent, "the record of that name was not written by Coffer")
    private static let otherRecord = StoreFailure(
        .permanent, "CloudKit tells of another record than it was asked about")
    private static let zoneGone = StoreFailure(
        .noPlace,
        "its zone in iCloud is not there any more: it was deleted while this ran, in iCloud's settings or on another device"
    )

    private func words<Result>(
        _ name: ObjectName?, _ body: () async throws(StoreFailure) -> Result
    ) async throws(ObjectStoreError) -> Result {
        do { return try await body() } catch { throw storeError(error, name) }
    }

    private func storeError(_ failure: StoreFailure, _ name: ObjectName?) -> ObjectStoreError {
        failure.storeError(name?.path ?? "", in: "the zone \(client.address.zone)")
    }
}

extension ObjectName {
    /// As records are called: Apple names no letters that a name may not have, so only what its own names have.
    var recordName: String { path.replacing("/", with: "_") }

    init?(recordName: String) {
        self.init(path: recordName.replacing("_", with: "/"))
        // No name of this format has a `_`, and none but the header a `.`.
        guard self.recordName == recordName else { return nil }
    }
}
