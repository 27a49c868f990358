import BackupEngine
import BackupSources
import Crypt15
import Foundation

/// One of WhatsApp's backups, proven, on its way into a Coffer snapshot.
public struct ImportedBackup: Sendable, Equatable, Codable {
    public enum Kind: String, Sendable, Codable {
        case full
        case increment
        case other
    }

    public let file: String
    /// As in the other commands: `ok`, `ok-no-trailer` or `ok-payload-header-or-trailer-altered`.
    public let verdict: String
    public let kind: Kind
    /// In the snapshot.
    public let path: String
    public let bytes: UInt64
    /// What the person should know, a sentence each.
    public let notes: [String]

    /// Whether its content alone is proven.
    public var isAltered: Bool { verdict == Verdict.okPayloadHeaderOrTrailerAltered.rawValue }
}

/// What is to be imported: every file of it is proven.
public struct ProvenImport: Sendable {
    public let backups: [ImportedBackup]
    let source: ImportedSource
    /// Of the messages' file, in seconds since 1970; nil if there is none.
    let messagesModified: Int64?
}

/// What an import did.
public struct ImportSummary: Sendable, Codable {
    public let files: [ImportedBackup]
    public let backup: BackupSummary
    /// What else the person should know, a sentence each.
    public let notes: [String]
}

extension Device {
    /// Turns backup on for what is imported alone: no folder of this device is backed up.
    /// - Returns: what the person should know besides, a sentence each.
    public func enableImports(to location: String, protection: NewProtection) async throws(CofferError) -> [String] {
        do {
            return try await enable(source: SourceLocation.imports.text, store: location, protection: protection)
        } catch {
            guard error.code == .storeTaken else { throw error }
            throw CofferError(
                error.code, error.message,
                advice:
                    "To go on with it from this device: coffer enable FOLDER --to STORE --join, and import then. For a new "
                    + "backup, name another folder.")
        }
    }

    /// Whether this device has a backup already to which imports go.
    ///
    /// - Parameters:
    ///   - location: the store that the person named, if they did.
    ///   - isNewProtected: whether they said how a new backup is to be protected.
    /// - Throws: `alreadyEnabled` if it is another one, or has its protection.
    public func takesImports(to location: String?, isNewProtected: Bool) throws(CofferError) -> Bool {
        guard let known = try folder.settings(), known.phase == .enabled else { return false }
        guard !isNewProtected else {
            throw CofferError(
                .alreadyEnabled, CofferError(alreadyEnabled: known).message + " Nothing was imported.",
                advice:
                    "To import into it, leave out --fleet, --coffer-key and --coffer-key-file: it is protected as it was. For "
                    + "a backup of its own name another --state folder, and another store.")
        }
        guard let location else { return true }
        let named = try StoreLocation.absolute(location, in: FileManager.default.currentDirectoryPath)
        if named == known.store { return true }
        // A bucket has one text.
        guard StoreLocation.isFolder(named), StoreLocation.isFolder(known.store) else {
            throw CofferError(alreadyEnabled: known)
        }
        let places = [
            try StoreLocation.open(named, device: folder).place,
            try StoreLocation.open(known.store, device: folder).place,
        ]
        if places[0] == places[1] { return true }
        guard let identity = FolderIdentity(path: places[0]), identity == FolderIdentity(path: places[1]) else {
            throw CofferError(alreadyEnabled: known)
        }
        return true
    }

    /// Opens WhatsApp's backups and proves them, to the last byte. Until they are backed up their content lies in files without
    /// names in this device's state folder, sealed under a key that is never written down.
    ///
    /// - Parameters:
    ///   - media: a folder of media in the clear, which goes with them.
    ///   - location: the store that the person named, if they did.
    /// - Throws: if any file is not proven: nothing is imported then.
    public func prove(
        _ files: [String], media: String?, key: WhatsAppKey, to location: String?
    ) throws(CofferError) -> ProvenImport {
        if let media { try requireApart(media, from: location) }
        try folder.create()
        guard let scratch = TemporaryFiles(in: folder.path).make() else {
            throw CofferError(noFileIn: folder.path, errno)
        }
        let space = SealedSpace(scratch)
        var imported: [ImportedFile] = []
        var backups: [ImportedBackup] = []
        var paths: [String: Int] = [:]
        for file in files {
            let (dump, backup) = try prove(file, key, space)
            if let other = paths.updateValue(backups.count, forKey: backup.path) {
                throw CofferError(twoImports: backups[other], backup)
            }
            backups.append(backup)
            imported.append(
                ImportedFile(
                    path: Array(backup.path.utf8), content: dump.content, isDatabase: dump.reading.content == .sqlite,
                    modifiedSeconds: dump.modifiedSeconds, modifiedNanoseconds: dump.modifiedNanoseconds))
        }
        do {
            let source = try ImportedSource(label: SourceLocation.imports.text, files: imported, media: media)
            let messages = imported.first { $0.path == DumpPlace.messages }
            return ProvenImport(backups: backups, source: source, messagesModified: messages?.modifiedSeconds)
        } catch {
            throw CofferError(
                .noSource, "\(media ?? "") is not there or is not a folder. Nothing was imported.",
                advice: "Check its name.")
        }
    }

    /// A store inside the folder of media would be backed up into itself, and with this device's state its key.
    private func requireApart(_ media: String, from location: String?) throws(CofferError) {
        let known = try folder.settings()?.store
        let here = FileManager.default.currentDirectoryPath
        func chain(_ path: String) -> [FolderIdentity?] {
            FolderIdentity.chain(of: path.hasPrefix("/") ? path : "\(here)/\(path)")
        }
        let chosen = FolderIdentity(path: media)
        for store in [location, known].compactMap({ $0 }) where StoreLocation.isFolder(store) {
            let place = try StoreLocation.open(store, device: folder).place
            try requireOutside(media, place)
            guard let chosen, chain(place).contains(chosen) else { continue }
            throw CofferError(
                .storeInsideSource, "\(place) lies inside \(media), the folder of media. Nothing was imported.",
                advice: "Name the folder with the media alone, or a store outside of it.")
        }
        let state = FolderIdentity(path: folder.path)
        let holdsState = chosen.map { chain(folder.path).contains($0) } ?? false
        let isInState = state.map { chain(media).contains($0) } ?? false
        guard !holdsState, !isInState else {
            throw CofferError(
                .storeInsideSource,
                "\(media) has to do with \(folder.path), where this device keeps key and settings: they must not get into a "
                    + "backup. Nothing was imported.",
                advice: "Name the folder with the media alone, or another folder with --state.")
        }
    }

    private func prove(
        _ file: String, _ key: WhatsAppKey, _ space: SealedSpace
    ) throws(CofferError) -> (OpenedDump, ImportedBackup) {
        let dump: OpenedDump
        do {
            dump = try OpenedDump(
                file, key: key.root, into: space, contentBytesMax: WhatsAppBackups.room(near: folder.path))
        } catch {
            throw CofferError(error, importing: file, scratch: folder.path)
        }
        let place = DumpPlace(
            name: URL(fileURLWithPath: file).lastPathComponent, content: dump.reading.content,
            hasMessages: dump.hasMessages)
        var notes: [String] = []
        if dump.reading.verdict == .okPayloadHeaderOrTrailerAltered {
            notes.append("Its content is proven; its header or its trailer is not what WhatsApp wrote.")
        }
        if place.kind == .increment {
            notes.append("An increment: it is kept as it is beside the messages, and not merged into them.")
        }
        let backup = ImportedBackup(
            file: file, verdict: dump.reading.verdict.rawValue,
            kind: ImportedBackup.Kind(rawValue: place.kind.rawValue) ?? .other,
            path: String(decoding: place.path, as: UTF8.self), bytes: dump.content.byteCount, notes: notes)
        return (dump, backup)
    }

    /// Makes a snapshot of what was proven, in this device's store.
    public func importWhatsApp(
        _ proven: ProvenImport, acceptingOlder: Bool = false, ignoringRoom: Bool = false,
        progress: @escaping ProgressHandler
    ) async throws(CofferError) -> ImportSummary {
        let note = await noteOnAge(of: proven)
        let summary = try await backUp(
            acceptingOlder: acceptingOlder, ignoringRoom: ignoringRoom, progress: progress
        ) { _ throws(CofferError) in
            BackupRun(
                source: proven.source, leftOut: .nothing, copies: folder.importCopies, knownFiles: importKnownFiles)
        }
        return ImportSummary(files: proven.backups, backup: summary, notes: note.map { [$0] } ?? [])
    }

    /// A word where what was imported last is newer. Whatever cannot be read tells nothing.
    private func noteOnAge(of proven: ProvenImport) async -> String? {
        let imports = SourceLocation.imports.text
        guard let modified = proven.messagesModified, let backup = try? await open(),
            let last = try? await backup.snapshots().readable.last(where: { $0.source == imports }),
            let path = String(bytes: DumpPlace.messages, encoding: .utf8),
            let earlier = try? await backup.list(path, of: .number(last.number)).first, earlier.modified > modified
        else { return nil }
        return
            "These messages are from an older file than those of the last import, snapshot \(last.number), which stays: restore "
            + "the newer ones with --snapshot \(last.number)."
    }
}

extension CofferError {
    fileprivate init(twoImports first: ImportedBackup, _ second: ImportedBackup) {
        self.init(
            .ambiguousImport,
            "\(first.file) and \(second.file) would both be \(first.path) in the backup. Nothing was imported.",
            advice: "Import them one after the other, the oldest first: each becomes a snapshot of its own.")
    }

    fileprivate init(noFileIn folder: String, _ code: Int32) {
        guard code == EMFILE || code == ENFILE else {
            self.init(
                .targetFailed,
                "\(folder) cannot be written to: \(String(cString: strerror(code))). Nothing was imported.",
                advice: "Make room there, or name another folder with --state.")
            return
        }
        self.init(
            .targetFailed, "This program has too many files open. Nothing was imported.",
            advice: "Allow it more (ulimit -n), and run the command again.")
    }

    fileprivate init(_ error: DumpError, importing file: String, scratch: String) {
        var error = error
        if case .refused(let reading) = error, case .tooLarge = reading.problem { error = .noScratch }
        switch error {
        case .unreadable(let words):
            self.init(
                .noSource, "\(file) cannot be read: \(words). Nothing was imported.",
                advice: "Check its name and its permissions.")
        case .noScratch:
            self.init(
                .targetFailed, "There is no room for the content of \(file) in \(scratch). Nothing was imported.",
                advice: "Make room there, or name another folder with --state.")
        case .refused(let reading):
            self.init(
                reading.code ?? .damageFound, "\(file): \(reading.words)",
                advice: "Nothing was imported. coffer whatsapp check says more of the file.")
        case .missingLibrary(let error): self.init(error)
        }
    }
}
