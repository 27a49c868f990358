package import BackupEngine
import CCofferSystem
package import Crypt15
import Foundation
package import Primitives

/// Why one of WhatsApp's backups cannot be imported.
package enum DumpError: Error, Sendable {
    case unreadable(String)
    /// It is not proven, or what it holds did not come out whole.
    case refused(BackupReading)
    /// There is no room for its content on this device.
    case noScratch
    case missingLibrary(MissingLibrary)
}

/// One of WhatsApp's backups, opened and proven, with its content sealed on this device's disk.
package struct OpenedDump {
    private static let pieceBytes = 1 << 20

    package let content: SealedFile
    /// Whether a table of messages is made in it, whatever the file is called.
    package let hasMessages: Bool
    package let reading: BackupReading
    package let modifiedSeconds: Int64
    package let modifiedNanoseconds: UInt32

    /// - Parameter scratch: where files without names are made.
    package init(
        _ path: String, key: RootKey, scratch: any UnnamedFiles, contentBytesMax: UInt64
    ) throws(DumpError) {
        guard let handle = FileHandleOwner(systemPath(Array(path.utf8)), followingLink: true),
            let status = FileStatus.of(handle.file)
        else { throw .unreadable(systemMessage()) }
        guard status.type == S_IFREG else { throw .unreadable("it is no file") }
        guard let file = scratch.make() else { throw .noScratch }
        let content = SealedFile(file)
        let reader: BackupReader
        do { reader = try BackupReader(key: key, contentBytesMax: contentBytesMax) } catch {
            throw .missingLibrary(error)
        }
        var search = SchemaSearch()
        func take(_ bytes: UnsafeRawBufferPointer) throws(DumpError) {
            search.feed(bytes)
            do { try content.append(bytes) } catch { throw .noScratch }
        }
        let failure = try readWhole(handle.file, pieceBytes: Self.pieceBytes) { piece throws(DumpError) in
            try reader.feed(piece, take)
            if reader.isRefused { throw .refused(try reader.finish(take)) }
        }
        if let failure { throw .unreadable(failure) }
        reading = try reader.finish(take)
        guard reading.isWhole else { throw .refused(reading) }
        do { try content.endWriting() } catch { throw .noScratch }
        self.content = content
        hasMessages = reading.content == .sqlite && search.hasMessages
        modifiedSeconds = status.modified.seconds
        modifiedNanoseconds = status.modified.nanoseconds
    }
}

/// Where what is imported lies in a snapshot.
package struct DumpPlace: Equatable, Sendable {
    package enum Kind: String, Sendable {
        /// All messages at one time.
        case full
        /// What came after a full backup. It is kept as it is: how it is applied is not known well enough.
        case increment
        /// Contacts, settings, stickers …
        case other
    }

    /// Of `Backups`, whatever tables they have.
    private static let otherDatabases: Set = [
        "wa.db", "chatsettingsbackup.db", "stickers.db", "status_backup.db", "commerce_backup.db", "smb_backup.db",
    ]

    package let kind: Kind
    package let path: [UInt8]

    /// - Parameters:
    ///   - name: of the file.
    ///   - content: what was found in it.
    ///   - hasMessages: whether it is a database of messages.
    package init(name: String, content: ContentKind, hasMessages: Bool) {
        var stem = name[...]
        if stem.lowercased().hasSuffix(".crypt15") { stem = stem.dropLast(".crypt15".count) }
        if stem.isEmpty || stem == "." || stem == ".." { stem = "backup" }
        if stem.hasPrefix("msgstore-increment") {
            kind = .increment
            path = Array("Databases/\(stem)\(content == .zip ? ".zip" : "")".utf8)
        } else if content == .sqlite,
            stem.hasPrefix("msgstore") || hasMessages && !Self.otherDatabases.contains(String(stem))
        {
            // Under one path, whatever the file is called, so that the next one is stored as what has changed since.
            kind = .full
            path = Array("Databases/msgstore.db".utf8)
        } else {
            kind = .other
            path = Array("Backups/\(stem)".utf8)
        }
    }
}

/// Looks for the statement that makes the table of messages, which SQLite keeps in a database as it was written.
private struct SchemaSearch {
    private static let statements: [[UInt8]] = [
        Array("CREATE TABLE message(".utf8), Array("CREATE TABLE message (".utf8),
        Array("CREATE TABLE \"message\"".utf8),
    ]
    private static let overlapBytes = 32

    private(set) var hasMessages = false
    /// The end of the piece before, in which a statement may have begun.
    private var end: [UInt8] = []

    mutating func feed(_ bytes: UnsafeRawBufferPointer) {
        guard !hasMessages else { return }
        let seam = end + bytes.prefix(Self.overlapBytes)
        hasMessages = seam.withUnsafeBytes(Self.isThere) || Self.isThere(bytes)
        end = Array((end + bytes.suffix(Self.overlapBytes)).suffix(Self.overlapBytes))
    }

    private static func isThere(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let base = bytes.baseAddress else { return false }
        return statements.contains { coffer_holds(base, bytes.count, $0, $0.count) != 0 }
    }
}
