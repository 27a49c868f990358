import BackupEngine
import BackupFormat
import ByteCoding

/// Which snapshots this device has seen in its store. A list that lacks one of them, without a record that it was removed, lacks
/// something; whoever deletes this file has one witness less, and nothing else.
struct SeenSnapshots: Sendable {
    static let fileName = "snapshots-seen"
    /// The newest of them.
    private static let countMax = 1 << 16

    private struct File: ByteCodable {
        private static let listBytes = 0...0xff_ffff
        let store: StoreID
        let snapshots: [SeenSnapshot]

        init(store: StoreID, snapshots: [SeenSnapshot]) {
            self.store = store
            self.snapshots = snapshots
        }

        init(from reader: inout ByteReader) throws(ByteCodingError) {
            store = try StoreID(from: &reader)
            snapshots = try reader.list(Self.listBytes)
        }

        func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
            try store.encode(into: &writer)
            try writer.list(snapshots, Self.listBytes)
        }
    }

    private let folder: DeviceFolder
    private let store: StoreID

    init(in folder: DeviceFolder, of store: StoreID) {
        self.folder = folder
        self.store = store
    }

    /// None if the file is not there, is damaged, or is another store's.
    func load() -> [SeenSnapshot] {
        guard let bytes = try? folder.read(Self.fileName), let file = try? File(decoding: bytes), file.store == store
        else { return [] }
        return file.snapshots
    }

    /// What cannot be written is no more than forgotten.
    private func save(_ snapshots: [SeenSnapshot]) {
        let newest = snapshots.sorted { $0.number < $1.number }.suffix(Self.countMax)
        guard let bytes = try? File(store: store, snapshots: Array(newest)).encoded() else { return }
        try? folder.write(Self.fileName, bytes)
    }

    /// - Parameter before: what was loaded; what another command has noted since stays.
    func save(_ snapshots: [SeenSnapshot], insteadOf before: [SeenSnapshot]) {
        save(Array(Set(load()).subtracting(before).union(snapshots)))
    }

    func note(_ snapshots: [Snapshot]) {
        let known = load()
        let all = Set(known).union(snapshots.compactMap { try? SeenSnapshot($0) })
        if all.count > known.count { save(Array(all)) }
    }
}
