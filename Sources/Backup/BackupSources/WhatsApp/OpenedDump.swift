import BackupEngine
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

    /// - Parameter space: where its content is put.
    package init(
        _ path: String, key: RootKey, into space: SealedSpace, contentBytesMax: UInt64
    ) throws(DumpError) {
        let file: GivenFile
        do { file = try GivenFile(Array(path.utf8)) } catch { throw .unreadable(error.words) }
        let content = SealedFile(space)
        let reader: BackupReader
        do { reader = try BackupReader(key: key, contentBytesMax: contentBytesMax) } catch {
            throw .missingLibrary(error)
        }
        func take(_ bytes: UnsafeRawBufferPointer) throws(DumpError) {
            do { try content.append(bytes) } catch { throw .noScratch }
        }
        let failure = try file.read(pieceBytes: Self.pieceBytes) { piece throws(DumpError) in
            try reader.feed(piece, take)
            if reader.isRefused { throw .refused(try reader.finish(take)) }
        }
        if let failure { throw .unreadable(failure.words) }
        reading = try reader.finish(take)
        guard reading.isWhole else { throw .refused(reading) }
        do { try content.endWriting() } catch { throw .noScratch }
        self.content = content
        hasMessages = reading.content == .sqlite && SchemaSearch.hasMessages(in: content)
        content.letGoOfBuffers()
        modifiedSeconds = file.status.modified.seconds
        modifiedNanoseconds = file.status.modified.nanoseconds
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

    /// Where the messages lie, whatever their file is called.
    package static let messages = Array("Databases/msgstore.db".utf8)

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
            path = Self.messages
        } else {
            kind = .other
            path = Array("Backups/\(stem)".utf8)
        }
    }
}
