package import ByteCoding
import Primitives

/// Why something in the source is not in a snapshot (section 9).
package enum SkipReason: UInt8, Sendable {
    case unreadable = 1
    case vanished = 2
    /// It kept changing; it is in the snapshot as it was last read.
    case changedWhileRead = 3
    /// A socket, pipe or device.
    case notAFile = 4

    /// Whether the backup lacks something that a person would miss; sockets and files that were deleted are none.
    package var isLoss: Bool { self == .unreadable || self == .changedWhileRead }
}

/// Something in the source that is not in a snapshot; its path is relative to the source.
package struct Skipped: ByteCodable, Equatable, Sendable {
    /// What one takes beside its path, and what all of a snapshot may take.
    package static let fixedBytes = 3
    package static let listBytesMax = 0xffff

    package var path: [UInt8]
    package var reason: SkipReason

    package init(path: [UInt8], reason: SkipReason) {
        self.path = path
        self.reason = reason
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        path = try reader.vector(1...0xffff)
        guard let reason = SkipReason(rawValue: try reader.uint8()) else { throw .invalidValue }
        self.reason = reason
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try writer.vector(path, 1...0xffff)
        writer.uint8(reason.rawValue)
    }
}

/// One backup at one time: the root of everything it holds (section 9).
package struct Snapshot: Equatable, Sendable {
    package struct Totals: Equatable, Sendable {
        package var files: UInt64 = 0
        package var directories: UInt64 = 0
        package var symbolicLinks: UInt64 = 0
        /// Of all files, each name counted.
        package var contentBytes: UInt64 = 0
        package var skipped: UInt64 = 0

        package init() {}
    }

    package var number: UInt32
    package var id: ObjectID
    package var beganSeconds: UInt64
    package var endedSeconds: UInt64
    package var previous: SnapshotHash
    package var source: String
    /// What the person chose not to save, a category or a pattern on a line; empty if nothing.
    package var leftOut: String
    package var totals: Totals
    package var skipped: [Skipped]
    package var root: Entry

    package init(
        number: UInt32, id: ObjectID, beganSeconds: UInt64, endedSeconds: UInt64, previous: SnapshotHash,
        source: String, leftOut: String = "", totals: Totals, skipped: [Skipped], root: Entry
    ) {
        self.number = number
        self.id = id
        self.beganSeconds = beganSeconds
        self.endedSeconds = endedSeconds
        self.previous = previous
        self.source = source
        self.leftOut = leftOut
        self.totals = totals
        self.skipped = skipped
        self.root = root
    }

    /// The link of the chain.
    package func hash() throws(ByteCodingError) -> SnapshotHash {
        SnapshotHash(uncheckedBytes: sha256(Label.snapshot + (try encoded())))
    }
}

extension Snapshot: ByteCodable {
    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        number = try reader.uint32()
        id = try ObjectID(from: &reader)
        beganSeconds = try reader.uint64()
        endedSeconds = try reader.uint64()
        previous = try SnapshotHash(from: &reader)
        source = try reader.text(0...0xffff)
        leftOut = try reader.text(0...0xffff)
        totals = Totals()
        totals.files = try reader.uint64()
        totals.directories = try reader.uint64()
        totals.symbolicLinks = try reader.uint64()
        totals.contentBytes = try reader.uint64()
        totals.skipped = try reader.uint64()
        skipped = try reader.list(0...Skipped.listBytesMax)
        root = try Entry(from: &reader)
        guard number > 0, root.name == Entry.rootName, case .directory = root.kind else { throw .invalidValue }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint32(number)
        try id.encode(into: &writer)
        writer.uint64(beganSeconds)
        writer.uint64(endedSeconds)
        try previous.encode(into: &writer)
        try writer.text(source, 0...0xffff)
        try writer.text(leftOut, 0...0xffff)
        let counts = [totals.files, totals.directories, totals.symbolicLinks, totals.contentBytes, totals.skipped]
        for count in counts { writer.uint64(count) }
        try writer.list(skipped, 0...Skipped.listBytesMax)
        try root.encode(into: &writer)
    }
}

extension Snapshot {
    /// The object: two copies, each sealed under an id of its own, so that one damaged byte does not cost the snapshot.
    package func sealed(
        epoch: Keyring.Epoch, store: StoreID, using generator: inout some RandomNumberGenerator
    ) throws(ByteCodingError) -> [UInt8] {
        let plaintext = try encodedAndPadded()
        var object: [UInt8] = []
        for _ in 0..<2 {
            let preamble = Preamble(kind: .snapshot, epoch: epoch.number, id: .random(using: &generator))
            object += try ObjectCipher(preamble: preamble, key: epoch.key, store: store).seal(plaintext)
        }
        return object
    }

    /// Opens the first copy that is whole.
    package static func open(
        _ object: [UInt8], name: SnapshotName, keyring: Keyring, store: StoreID
    ) throws(SealedObjectError) -> Snapshot {
        let half = object.count / 2
        guard half > 0, half * 2 == object.count else { throw .impossibleSize }
        do {
            return try openCopy(Array(object[..<half]), name: name, keyring: keyring, store: store)
        } catch {
            return try openCopy(Array(object[half...]), name: name, keyring: keyring, store: store)
        }
    }

    private static func openCopy(
        _ copy: [UInt8], name: SnapshotName, keyring: Keyring, store: StoreID
    ) throws(SealedObjectError) -> Snapshot {
        let preamble = try readPreamble(of: copy, kind: .snapshot)
        guard let key = keyring.key(ofEpoch: preamble.epoch),
            let cipher = try? ObjectCipher(preamble: preamble, key: key, store: store)
        else { throw .notThisObject }
        guard let snapshot = try? Snapshot(decodingPadded: try cipher.open(copy)) else { throw .malformed }
        guard snapshot.number == name.number, snapshot.id == name.id else { throw .notThisObject }
        return snapshot
    }
}
