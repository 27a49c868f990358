import BackupSources
import Crypt15
import Foundation
import Primitives

extension WhatsAppBackups {
    /// Encrypts a database as WhatsApp would, with the header of a backup of the same phone and a new nonce. Not tried against
    /// WhatsApp.
    ///
    /// The other backup is read whole first, so that its key is known to be the one given. What was written is read again before
    /// it gets its name.
    /// - Parameters:
    ///   - level: zlib's, 1 to 9; without it that of the other backup.
    ///   - output: a file that is not there yet.
    public static func seal(
        _ database: String, like reference: String, to output: String, key: WhatsAppKey, level: Int? = nil
    ) throws(CofferError) -> WhatsAppReport {
        let source = try SealSource(database)
        let (model, header) = try readModel(reference, key)
        let folder = FilePath.parent(output) ?? "."
        let name = FilePath.name(output)
        guard access(output, F_OK) != 0 else { throw CofferError(taken: output) }
        let pending: PendingFile
        let digest: [UInt8]
        do throws(PendingFileError) {
            pending = try PendingFile(in: folder)
        } catch { throw CofferError(error, path: output) }
        var generator = SystemRandomNumberGenerator()
        do {
            let writer = try BackupWriter(
                key: key.root, like: header, level: level ?? zlibLevel(model), hasTrailer: model.verdict == .ok,
                using: &generator)
            digest = try write(source, with: writer, to: pending)
        } catch let error as MissingLibrary {
            throw CofferError(error)
        } catch let error as PendingFileError {
            throw CofferError(error, path: output)
        } catch let error as CofferError {
            throw error
        } catch {
            throw CofferError(.failed("\(error)"), path: output)
        }
        var report = WhatsAppReport(file: database, try readBack(pending, key, digest, output))
        do throws(PendingFileError) { try pending.finish(in: folder, as: name) } catch {
            throw CofferError(error, path: output)
        }
        report.output = output
        report.words =
            "Sealed with the header of \(reference) and a new nonce, and read back whole. It was not tried against WhatsApp, "
            + "and nobody outside knows all that a restore checks: keep the phone's own backup."
        return report
    }

    private static func readModel(
        _ reference: String, _ key: WhatsAppKey
    ) throws(CofferError) -> (BackupReading, BackupHeader) {
        let reading: BackupReading
        do {
            let reader = try BackupReader(key: key.root)
            let input = WhatsAppInput(path: reference, relativePath: reference)
            try input.read(until: { reader.isRefused }) { piece throws(Never) in
                reader.feed(piece) { _ in }
            }
            reading = reader.finish { _ in }
        } catch let error as MissingLibrary {
            throw CofferError(error)
        } catch {
            throw CofferError(
                .noSource, "\(reference) cannot be read. Nothing was written.", advice: "Check the name of the file.")
        }
        guard [.ok, .okNoTrailer].contains(reading.verdict), reading.isWhole, reading.content == .sqlite,
            let header = reading.header, header.nonceCount == 1
        else {
            let words =
                reading.isWhole && reading.code == nil ? "It holds no database, or has an odd header." : reading.words
            throw CofferError(
                reading.code ?? .contentRefused, "\(reference) cannot be the model. \(words) Nothing was written.",
                advice:
                    "Name a .crypt15 of a database from the phone that the new one is for, and the key that opens it.")
        }
        return (reading, header)
    }

    /// The level that the first two bytes of the other's zlib stream tell: 1, 5, 6 or 9 (RFC 1950 section 2.2).
    private static func zlibLevel(_ model: BackupReading) -> Int {
        guard let flags = model.zlibHead?.last else { return 9 }
        return [1, 5, 6, 9][Int(flags >> 6)]
    }

    /// - Returns: the MD5 of the database.
    private static func write(
        _ source: SealSource, with writer: BackupWriter, to pending: PendingFile
    ) throws -> [UInt8] {
        let write = { (bytes: UnsafeRawBufferPointer) throws(PendingFileError) in try pending.write(bytes) }
        var digest = MD5()
        try writer.head.withUnsafeBytes { try write($0) }
        do {
            try source.input.read(until: { writer.isTooLong }) { piece throws(PendingFileError) in
                digest.update(piece)
                try writer.feed(piece, write)
            }
        } catch {
            switch error {
            case .consumer(let failure): throw failure
            case .unreadable(let reason): throw source.refusal("it cannot be read: \(reason)")
            }
        }
        guard try writer.finish(write) else { throw source.refusal("it is larger than such a file can be (64 GiB)") }
        guard source.isUnchanged else { throw source.refusal("it changed meanwhile") }
        return digest.digest()
    }

    private static func readBack(
        _ pending: PendingFile, _ key: WhatsAppKey, _ digest: [UInt8], _ output: String
    ) throws(CofferError) -> BackupReading {
        var back = MD5()
        var place: UInt64 = 0
        if let reader = try? BackupReader(key: key.root) {
            while let piece = pending.bytes(at: place, count: 1 << 18), !piece.isEmpty {
                piece.withUnsafeBytes { piece in reader.feed(piece) { back.update($0) } }
                place += UInt64(piece.count)
            }
            let reading = reader.finish { back.update($0) }
            if reading.isWhole, back.digest() == digest { return reading }
        }
        throw CofferError(
            .targetFailed, "What was written to \(output) could not be read back, and was removed.",
            advice: "Check the disk, or name a folder on another one.")
    }
}

/// A database that is to be sealed, and that nobody writes to meanwhile.
private struct SealSource {
    let input: WhatsAppInput
    /// As the person gave it.
    private let name: String
    private let before: Version

    init(_ path: String) throws(CofferError) {
        // What is written to a database that was named by a link lies beside the database itself.
        guard let real = realpath(path, nil) else {
            throw Self.refusal(path, "it cannot be read: \(String(cString: strerror(errno)))")
        }
        defer { free(real) }
        name = path
        input = WhatsAppInput(path: String(cString: real), relativePath: path)
        before = Self.version(input.path)
        var head: [UInt8] = []
        do {
            try input.read { piece throws(HeadRead) in
                head = Array(piece.prefix(16)); throw HeadRead()
            }
        } catch {
            if case .unreadable(let reason) = error { throw refusal("it cannot be read: \(reason)") }
        }
        guard head == Array("SQLite format 3\0".utf8) else { throw refusal("it is no SQLite database") }
        if let companion = pendingChanges {
            throw refusal("\(companion) holds changes that are not in it yet; open it once with sqlite3, and close it")
        }
    }

    /// A log or a journal with something in it.
    private var pendingChanges: String? {
        ["-wal", "-journal"].map { input.path + $0 }.first { Self.version($0).bytes > 0 }
    }

    private struct HeadRead: Error {}

    var isUnchanged: Bool { Self.version(input.path) == before && pendingChanges == nil }

    func refusal(_ reason: String) -> CofferError { Self.refusal(name, reason) }

    private static func refusal(_ path: String, _ reason: String) -> CofferError {
        CofferError(
            .noSource, "\(path) cannot be sealed: \(reason). Nothing was written.",
            advice: "Name a database such as `coffer whatsapp open` writes, that no program is using.")
    }

    private struct Version: Equatable {
        let bytes: UInt64
        let modified: Date?
        let number: UInt64?
    }

    private static func version(_ path: String) -> Version {
        let attributes = (try? FileManager.default.attributesOfItem(atPath: path)) ?? [:]
        return Version(
            bytes: attributes[.size] as? UInt64 ?? 0, modified: attributes[.modificationDate] as? Date,
            number: attributes[.systemFileNumber] as? UInt64)
    }
}
