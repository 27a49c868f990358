import BackupFormat
import ByteCoding

/// Whether a backup can fit at all, before anything is written.
///
/// When it is done the store holds everything of the source. Photos, films and the like cannot be made smaller, so if they alone are more than what the
/// store's packs hold and what is free, the backup surely does not fit. Anything else may fit: text compresses, and what
/// was moved is there already. Then the backup goes on, and if the store runs full the next one goes on where it stopped.
struct StoreRoom {
    /// Endings of files that are compressed already.
    private static let compressed = Set(
        "jpg jpeg png webp heic heif avif gif mp4 m4v mov 3gp mkv webm opus ogg m4a aac mp3 zip was tgs"
            .split(separator: " ").map { Array($0.utf8)[...] })
    /// Smaller files are not looked at: they decide nothing.
    private static let bytesMin: UInt64 = 64 << 10
    /// What a compressor may still find, as a share of the content.
    private static let slackShare: UInt64 = 16
    /// With so much room, or a quarter of what there was last time, nobody walks through the folders to count.
    private static let ampleBytes: UInt64 = 1 << 30
    private static let sizesLog: UInt64 = 20

    /// Which sizes were seen, by a hash, in bounded memory: files of one size may be one content, which is stored once. Two
    /// sizes that are taken for one make the sum smaller.
    private var sizes = PageSet(count: 1 << Int(sizesLog))
    private var bytes: UInt64 = 0

    /// - Parameters:
    ///   - storedBytes: what the store's packs hold.
    ///   - last: what the last snapshot of the source holds.
    static func require(
        for source: any BackupSource, in store: any ObjectStore, storedBytes: UInt64, last: Snapshot.Totals?
    ) async throws(BackupError) {
        guard let free = await store.freeBytes() else { return }
        if let last, free >= max(ampleBytes, last.contentBytes / 4) { return }
        var room = StoreRoom()
        do { try room.walk(source) } catch { throw .source(error) }
        let needed = room.bytes - min(room.bytes, storedBytes)
        guard needed <= free else { throw .noRoom(neededBytes: needed, freeBytes: free) }
    }

    private mutating func walk(_ source: any BackupSource) throws(SourceError) {
        var pending = [try source.root()]
        while let folder = pending.popLast() {
            guard let children = try? source.children(of: folder) else { continue }
            for node in children {
                switch node.kind {
                case .directory: pending.append(node)
                case .file(let bytes, _): add(min(bytes, node.dataBytes ?? bytes), bytes, node.path)
                case .symbolicLink, .other, .unreadable: break
                }
            }
        }
    }

    /// - Parameter dataBytes: without holes.
    private mutating func add(_ dataBytes: UInt64, _ size: UInt64, _ path: [UInt8]) {
        guard dataBytes >= Self.bytesMin, let dot = path.lastIndex(of: UInt8(ascii: ".")) else { return }
        let ending = path[(dot + 1)...].map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 }
        let slot = Int(truncatingIfNeeded: (size &* 0x9e37_79b9_7f4a_7c15) >> (64 - Self.sizesLog))
        guard Self.compressed.contains(ending[...]), !sizes.contains(slot) else { return }
        sizes.insert(slot)
        bytes = bytes.saturatingAdd(dataBytes - dataBytes / Self.slackShare)
    }
}

extension ChunkIndex {
    /// What the packs hold, in bytes of their plaintext.
    var storedBytes: UInt64 { packs.reduce(0) { $0 + UInt64($1.plaintextBytes) } }
}
