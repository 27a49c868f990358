import BackupFormat
import ByteCoding
import Primitives

/// What a device remembers of one file: how it looked, and what it held then.
struct KnownFile: Equatable {
    var path: [UInt8]
    var version: [UInt8]
    /// nil while only the first blocks of a large file are stored.
    var content: FileContent?
    /// All chunks of the content, where the content's own list does not name them all; or the first ones.
    var leaves: [ChunkID]

    /// Every chunk that must be in the store for the content to be there; lists of chunks among them.
    var chunks: [ChunkID] { (content?.blocks.ids ?? []) + leaves }

    /// In the order of a walk: as bytes, but a folder's end comes before any byte of a name.
    static func isBefore(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        left.lexicographicallyPrecedes(right) { order($0) < order($1) }
    }

    private static func order(_ byte: UInt8) -> UInt8 { byte == UInt8(ascii: "/") ? 0 : byte }
}

extension KnownFile: ByteCodable {
    init(from reader: inout ByteReader) throws(ByteCodingError) {
        path = try reader.vector(1...0xffff)
        version = try reader.vector(0...0xffff)
        content = try reader.optional { reader throws(ByteCodingError) in try FileContent(from: &reader) }
        leaves = try reader.list(0...0xff_ffff)
    }

    func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try writer.vector(path, 1...0xffff)
        try writer.vector(version, 0...0xffff)
        try writer.optional(content) { content, writer throws(ByteCodingError) in try content.encode(into: &writer) }
        try writer.list(leaves, 0...0xff_ffff)
    }
}

/// The files that this device backed up before, read and written beside the walk in its own order, so that the
/// memory is one part's, however many files there are.
///
/// It is a journal too: what a backup that was cut had stored is known to the next one, which goes on there. For nothing is
/// believed of a file but by its version, and by its chunks that are in the store.
///
/// Parts are sealed with AES-256-GCM under a key of the store's, numbered and the last one marked, as an object's frames are; the
/// first part is the random id that the key depends on. What does not open is forgotten.
final class KnownFiles {
    private static let label = Array("coffer-v1 known files".utf8)
    private static let idBytes = 16
    private static let partBytes = 64 << 10
    /// A change within this time before the backup began might be followed by another one that looks the same.
    static let settlingSeconds: Int64 = 3

    /// What is known, the latest first.
    private let streams: [KnownFileStream]
    private let writer: (any KnownFilesWriter)?
    private var cipher: AES256GCM?
    private var number: UInt64 = 0
    private var writing = ByteWriter()
    private let settledBefore: Int64

    /// - Parameter began: when the backup began, in seconds since 1970.
    init(
        _ storage: (any KnownFilesStorage)?, of repository: Repository, began: UInt64,
        using generator: inout some RandomNumberGenerator
    ) {
        settledBefore = Int64(clamping: began) - Self.settlingSeconds
        streams = (storage?.readers() ?? []).compactMap { reader in
            guard let id = reader.next(), id.count == Self.idBytes else { return nil }
            return KnownFileStream(reader, Self.cipher(of: repository, id: id))
        }
        writer = storage?.writer()
        if let writer {
            let id = generator.bytes(Self.idBytes)
            writer.append(id)
            cipher = Self.cipher(of: repository, id: id)
        }
    }

    /// What is known of a file, the latest first. Files are asked for in the order of the walk.
    func files(at path: [UInt8]) -> [KnownFile] { streams.compactMap { $0.file(at: path) } }

    /// - Parameter file: one whose first blocks alone are stored is followed by itself with further ones, or whole.
    func remember(_ file: KnownFile, changedSeconds: Int64) {
        guard cipher != nil, changedSeconds < settledBefore, let bytes = try? file.encoded() else { return }
        writing.raw(bytes)
        if writing.bytes.count >= Self.partBytes { write(last: false) }
    }

    /// When a pack is full: a backup that is cut goes on behind the last pack that came into the store.
    func checkpoint() {
        if !writing.bytes.isEmpty { write(last: false) }
    }

    /// After the snapshot: what is remembered must be in the store.
    func finish() {
        write(last: true)
        writer?.finish()
    }

    private func write(last: Bool) {
        guard let cipher else { return }
        writer?.append(cipher.seal(writing.bytes, nonce: Self.nonce(number, last: last)))
        number += 1
        writing = ByteWriter(capacity: Self.partBytes)
    }

    fileprivate static func nonce(_ number: UInt64, last: Bool) -> [UInt8] {
        var nonce = ByteWriter(capacity: AES256GCM.nonceBytes)
        nonce.raw([0, 0, 0])
        nonce.uint64(number)
        nonce.uint8(last ? 1 : 0)
        return nonce.bytes
    }

    private static func cipher(of repository: Repository, id: [UInt8]) -> AES256GCM {
        // Not from an epoch's key: what a device knows outlives a change of the key.
        let key = hkdfSHA512(
            repository.keyring.chunkIDKey, salt: repository.header.store.bytes, info: label + id,
            count: AES256GCM.keyBytes)
        return AES256GCM(key: key)
    }
}

/// What one backup remembered, in the order of its walk.
private final class KnownFileStream {
    private let reader: any KnownFilesReader
    /// nil behind the last part, or at one that does not open.
    private var cipher: AES256GCM?
    private var number: UInt64 = 0
    private var part = ByteReader([])
    private var next: KnownFile?
    private var following: KnownFile?

    init(_ reader: any KnownFilesReader, _ cipher: AES256GCM) {
        self.reader = reader
        self.cipher = cipher
        following = read()
        advance()
    }

    func file(at path: [UInt8]) -> KnownFile? {
        while let candidate = next, KnownFile.isBefore(candidate.path, path) { advance() }
        return next?.path == path ? next : nil
    }

    /// Takes everything that is said of one file together; what was said last counts.
    private func advance() {
        next = following
        following = read()
        while let more = following, more.path == next?.path {
            if more.content == nil, next?.content == nil, more.version == next?.version {
                next?.leaves += more.leaves
            } else {
                next = more
            }
            following = read()
        }
    }

    private func read() -> KnownFile? {
        while part.remaining == 0 {
            guard let cipher, let sealed = reader.next() else { return nil }
            var plaintext = try? cipher.open(sealed, nonce: KnownFiles.nonce(number, last: false))
            if plaintext == nil {
                plaintext = try? cipher.open(sealed, nonce: KnownFiles.nonce(number, last: true))
                self.cipher = nil
            }
            guard let plaintext else { return nil }
            number += 1
            part = ByteReader(plaintext)
        }
        let file = try? KnownFile(from: &part)
        if file == nil {
            cipher = nil
            part = ByteReader([])
        }
        return file
    }
}
