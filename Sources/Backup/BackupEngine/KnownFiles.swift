import BackupFormat
import ByteCoding
import Primitives

/// What a device remembers of one file: how it looked, and what it held then.
struct KnownFile: Equatable {
    var path: [UInt8]
    var version: [UInt8]
    var content: FileContent
    /// All chunks of the content, where the content's own list does not name them all.
    var leaves: [ChunkID]

    /// Every chunk that must be in the store for the content to be there; lists of chunks among them.
    var chunks: [ChunkID] { content.blocks.ids + leaves }

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
        content = try FileContent(from: &reader)
        leaves = try reader.list(0...0xff_ffff)
    }

    func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try writer.vector(path, 1...0xffff)
        try writer.vector(version, 0...0xffff)
        try content.encode(into: &writer)
        try writer.list(leaves, 0...0xff_ffff)
    }
}

/// The files that this device backed up before, read and written beside the walk in its own order, so that the
/// memory is one part's, however many files there are.
///
/// Parts are sealed with AES-256-GCM under a key of the store's, numbered and the last one marked, as an object's frames are; the
/// first part is the random id that the key depends on. What does not open is forgotten.
final class KnownFiles {
    private static let label = Array("coffer-v1 known files".utf8)
    private static let idBytes = 16
    private static let partBytes = 64 << 10
    /// A change within this time before the backup began might be followed by another one that looks the same.
    static let settlingSeconds: Int64 = 3

    private let reader: (any KnownFilesReader)?
    private let writer: (any KnownFilesWriter)?
    private var readCipher: AES256GCM?
    private var writeCipher: AES256GCM?
    private var readNumber: UInt64 = 0
    private var writeNumber: UInt64 = 0
    private var reading = ByteReader([])
    private var next: KnownFile?
    private var writing = ByteWriter()
    private let settledBefore: Int64

    /// - Parameter began: when the backup began, in seconds since 1970.
    init(
        _ storage: (any KnownFilesStorage)?, of repository: Repository, began: UInt64,
        using generator: inout some RandomNumberGenerator
    ) {
        settledBefore = Int64(clamping: began) - Self.settlingSeconds
        reader = storage?.reader()
        writer = storage?.writer()
        if let id = reader?.next(), id.count == Self.idBytes { readCipher = repository.knownFilesCipher(id) }
        if let writer {
            let id = generator.bytes(Self.idBytes)
            writer.append(id)
            writeCipher = repository.knownFilesCipher(id)
        }
        advance()
    }

    /// What the file held if it looks as it did. Files are asked for in the order of the walk.
    func file(at path: [UInt8]) -> KnownFile? {
        while let candidate = next, KnownFile.isBefore(candidate.path, path) { advance() }
        return next?.path == path ? next : nil
    }

    func remember(_ file: KnownFile, changedSeconds: Int64) {
        guard writeCipher != nil, changedSeconds < settledBefore, let bytes = try? file.encoded() else { return }
        writing.raw(bytes)
        if writing.bytes.count >= Self.partBytes { write(last: false) }
    }

    /// After the snapshot: what is remembered must be in the store.
    func finish() {
        write(last: true)
        writer?.finish()
    }

    private func write(last: Bool) {
        guard let writeCipher else { return }
        writer?.append(writeCipher.seal(writing.bytes, nonce: Self.nonce(writeNumber, last: last)))
        writeNumber += 1
        writing = ByteWriter(capacity: Self.partBytes)
    }

    private func advance() {
        next = nil
        while reading.remaining == 0 {
            guard let cipher = readCipher, let part = reader?.next() else { return }
            var plaintext = try? cipher.open(part, nonce: Self.nonce(readNumber, last: false))
            if plaintext == nil {
                plaintext = try? cipher.open(part, nonce: Self.nonce(readNumber, last: true))
                readCipher = nil
            }
            guard let plaintext else { return }
            readNumber += 1
            reading = ByteReader(plaintext)
        }
        next = try? KnownFile(from: &reading)
        if next == nil { readCipher = nil }
    }

    private static func nonce(_ number: UInt64, last: Bool) -> [UInt8] {
        var nonce = ByteWriter(capacity: AES256GCM.nonceBytes)
        nonce.raw([0, 0, 0])
        nonce.uint64(number)
        nonce.uint8(last ? 1 : 0)
        return nonce.bytes
    }

    fileprivate static func key(_ repository: Repository, id: [UInt8]) -> SecretBytes {
        hkdfSHA512(
            repository.keyring.current.key, salt: repository.header.store.bytes, info: label + id,
            count: AES256GCM.keyBytes)
    }
}

extension Repository {
    fileprivate func knownFilesCipher(_ id: [UInt8]) -> AES256GCM { AES256GCM(key: KnownFiles.key(self, id: id)) }
}
