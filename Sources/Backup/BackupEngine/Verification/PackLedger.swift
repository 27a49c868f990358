import BackupFormat
import ByteCoding
import Primitives

/// When this device last read each pack whole and found it sound.
///
/// On the disk it holds ids of packs, which the store shows to everyone, and times; a keyed hash ties it to the store and tells
/// whether it is whole.
struct PackLedger {
    private static let label = Array("coffer-v1 packs read".utf8)
    private static let listBytes = 0...0xffff_ffff
    private static let tagBytes = 32

    private struct Line: ByteCodable {
        let pack: ObjectID
        let seconds: UInt64

        init(pack: ObjectID, seconds: UInt64) {
            self.pack = pack
            self.seconds = seconds
        }

        init(from reader: inout ByteReader) throws(ByteCodingError) {
            pack = try ObjectID(from: &reader)
            seconds = try reader.uint64()
        }

        func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
            try pack.encode(into: &writer)
            writer.uint64(seconds)
        }
    }

    private let repository: Repository
    private let storage: (any LedgerStorage)?
    private var times: [ObjectID: UInt64] = [:]

    init(_ repository: Repository, _ storage: (any LedgerStorage)?) {
        self.repository = repository
        self.storage = storage
        guard let bytes = storage?.load(), bytes.count > Self.tagBytes else { return }
        let body = Array(bytes.dropLast(Self.tagBytes))
        guard constantTimeEquals(tag(of: body), Array(bytes.suffix(Self.tagBytes))) else { return }
        var reader = ByteReader(body)
        let lines: [Line] = (try? reader.list(Self.listBytes)) ?? []
        times = Dictionary(lines.map { ($0.pack, $0.seconds) }, uniquingKeysWith: max)
    }

    private func tag(of body: [UInt8]) -> [UInt8] {
        hmacSHA256(Self.label + body, key: repository.keyring.copyKey(of: repository.header.store))
    }

    /// - Parameter now: a time after it was written by a clock that went wrong, and counts as never.
    func lastRead(_ pack: ObjectID, now: UInt64) -> UInt64? { times[pack].flatMap { $0 <= now ? $0 : nil } }

    mutating func note(_ pack: ObjectID, isSound: Bool, now: UInt64) { times[pack] = isSound ? now : nil }

    /// - Parameter packs: those that the store still has; others are forgotten.
    func save(keeping packs: [ObjectID]) {
        var writer = ByteWriter()
        let lines = packs.compactMap { pack in times[pack].map { Line(pack: pack, seconds: $0) } }
        guard let storage, (try? writer.list(lines, Self.listBytes)) != nil else { return }
        storage.save(writer.bytes + tag(of: writer.bytes))
    }
}
