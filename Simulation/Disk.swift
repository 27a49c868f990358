import ByteCoding
import Primitives
import VaultCore

/// One vault's disk: a journal of batches, each under its own hash, read back whole after every crash.
///
/// A write that a crash cuts off leaves a torn tail, which reading back drops.
// One thread runs all of it, so it may be called Sendable.
final class Disk: @unchecked Sendable {
    private(set) var epoch: UInt64 = 0
    private(set) var head: [UInt8] = []
    private(set) var records: [StoredRecord] = []
    private var journal: [UInt8] = []
    /// What would survive a power cut.
    private var syncedBytes = 0
    var slotCount: UInt64 { UInt64(records.count) }

    func record(_ key: RecordKey) -> StoredRecord? { records.first { $0.key == key } }

    /// Writes a batch. `tornAt` cuts the write off after that share of it, in thousandths.
    func write(_ batch: RecordBatch, tornAt perMille: Int? = nil, isSynced: Bool = true) {
        let entry = Self.entry(epoch: batch.epoch, head: batch.head, records: batch.records)
        journal += entry.prefix(perMille.map { entry.count * $0 / 1000 } ?? entry.count)
        if isSynced { syncedBytes = journal.count }
        if perMille == nil { apply(epoch: batch.epoch, head: batch.head, records: batch.records) }
    }

    /// All that lies on it.
    struct Copy {
        var epoch: UInt64
        var head: [UInt8]
        var records: [StoredRecord]
    }

    var copy: Copy { Copy(epoch: epoch, head: head, records: records) }

    func put(_ copy: Copy) {
        (epoch, head, records) = (copy.epoch, copy.head, copy.records)
        compact()
    }

    /// What a new process finds after the power failed.
    func readBack() {
        journal.removeLast(journal.count - syncedBytes)
        (epoch, head, records) = (0, [], [])
        var reader = ByteReader(journal)
        while let entry = try? Self.entry(from: &reader) {
            apply(epoch: entry.epoch, head: entry.head, records: entry.records)
        }
        compact()
    }

    /// Leaves the newest version of each record alone.
    func compact() {
        journal = Self.entry(epoch: epoch, head: head, records: records)
        syncedBytes = journal.count
    }

    private func apply(epoch: UInt64, head: [UInt8], records new: [StoredRecord]) {
        self.epoch = epoch
        self.head = head
        for record in new {
            if let position = records.firstIndex(where: { $0.key == record.key }) {
                records[position] = record
            } else {
                records.append(record)
            }
        }
    }

    // MARK: Bytes

    private static func entry(epoch: UInt64, head: [UInt8], records: [StoredRecord]) -> [UInt8] {
        var body = ByteWriter()
        body.uint64(epoch)
        append(head, to: &body)
        body.uint32(UInt32(records.count))
        for record in records {
            body.raw(record.key.bytes)
            body.uint64(record.slot)
            body.uint64(record.epoch)
            body.uint64(record.dueSeconds ?? .max)
            append(record.sealed, to: &body)
        }
        var entry = ByteWriter()
        append(body.bytes, to: &entry)
        entry.raw(sha256(body.bytes))
        return entry.bytes
    }

    private static func append(_ bytes: [UInt8], to writer: inout ByteWriter) {
        writer.uint32(UInt32(bytes.count))
        writer.raw(bytes)
    }

    private static func entry(
        from reader: inout ByteReader
    ) throws(ByteCodingError) -> (epoch: UInt64, head: [UInt8], records: [StoredRecord]) {
        let bytes = try reader.fixed(Int(try reader.uint32()))
        guard try reader.fixed(32) == sha256(bytes) else { throw .invalidValue }
        var body = ByteReader(bytes)
        let epoch = try body.uint64()
        let head = try body.fixed(Int(try body.uint32()))
        var records: [StoredRecord] = []
        for _ in 0..<(try body.uint32()) {
            let key = RecordKey(uncheckedBytes: try body.fixed(32))
            let (slot, epoch, due) = (try body.uint64(), try body.uint64(), try body.uint64())
            let sealed = try body.fixed(Int(try body.uint32()))
            records.append(
                StoredRecord(
                    key: key, slot: slot, epoch: epoch, sealed: sealed, dueSeconds: due == .max ? nil : due))
        }
        return (epoch, head, records)
    }
}

/// One process's way to its vault's disk: every call may fail, and at every call the process may die.
// One thread runs all of it, so it may be called Sendable.
final class DiskHandle: RecordStore, @unchecked Sendable {
    private let disk: Disk
    private let world: World
    /// Somebody else may come first, between this process's read and its write.
    var beforeCommit: () -> Void = {}
    private(set) var isDead = false

    init(_ disk: Disk, world: World) {
        self.disk = disk
        self.world = world
    }

    func load(_ keys: [RecordKey]) throws(RecordStoreError) -> StoreSnapshot {
        try suffer()
        return StoreSnapshot(
            epoch: disk.epoch, head: disk.head, slotCount: disk.slotCount, records: keys.map(disk.record))
    }

    func leaves() throws(RecordStoreError) -> LeafTable {
        try suffer()
        // A new record takes the next slot, so the order of the first writes is the order of slots.
        return LeafTable(epoch: disk.epoch, head: disk.head, leaves: LeafIndexBuilder(disk.records.map(\.leaf)))
    }

    func commit(_ batch: RecordBatch) throws(RecordStoreError) {
        beforeCommit()
        try suffer()
        guard batch.expectedEpoch == disk.epoch else { throw .conflict }
        if !world.isCalm, world.chance(perMille: 40) {
            switch world.draw(0..<4) {
            case 0:
                disk.write(batch, tornAt: world.draw(0..<1000))
                disk.readBack()
                throw die()
            case 1:
                disk.write(batch)
                throw die()
            case 2:
                disk.write(batch)
                throw .unknownOutcome("the disk did not say")
            default:
                throw .unknownOutcome("the disk did not say")
            }
        }
        disk.write(batch, isSynced: world.plant != .commitBeforeSync || world.chance(perMille: 500))
    }

    func eraseOldVersions() throws(RecordStoreError) {
        try suffer()
        disk.compact()
    }

    private func suffer() throws(RecordStoreError) {
        guard !isDead else { throw .unavailable("the process is gone") }
        if world.isCalm { return }
        if world.chance(perMille: 4) { throw die() }
        if world.chance(perMille: 8) { throw .unavailable("the disk is busy") }
    }

    @discardableResult func die() -> RecordStoreError {
        isDead = true
        return .unavailable("the process died")
    }
}
