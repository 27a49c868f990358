import BackupSources
import Foundation

/// One of the files that a person named, or that lie in a folder that they named.
struct WhatsAppInput: Equatable {
    /// As the system takes it, whatever its encoding.
    private let systemPath: [UInt8]
    /// As a person reads it.
    let path: String
    /// Below the folder that was named; the file's own name if it was named itself.
    let relativePath: String

    private static let endings = [".crypt15", ".crypt14", ".crypt12"]
    private static let mediaEnding = ".mcrypt1"
    private static let pieceBytes = 256 << 10

    init(path: String, relativePath: String) {
        systemPath = Array(path.utf8)
        self.path = path
        self.relativePath = relativePath
    }

    private init(folder: String, relativePath: [UInt8]) {
        systemPath = Array(folder.utf8) + [UInt8(ascii: "/")] + relativePath
        path = String(decoding: systemPath, as: UTF8.self)
        self.relativePath = String(decoding: relativePath, as: UTF8.self)
    }

    /// What was named.
    struct Expanded {
        /// Folders with all that is WhatsApp's backup in them, in the order of names.
        var inputs: [WhatsAppInput] = []
        /// Of folders and files below the named ones that could not be looked at.
        var unreadable: [WhatsAppReport] = []
        var mediaFiles = 0
    }

    static func expand(_ paths: [String]) throws(CofferError) -> Expanded {
        var expanded = Expanded()
        for path in paths {
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
                throw CofferError(
                    .noSource, "\(path) is not there. Nothing was done.", advice: "Check the name of the file.")
            }
            guard isFolder.boolValue else {
                expanded.inputs.append(WhatsAppInput(path: path, relativePath: FilePath.name(path)))
                continue
            }
            let found = try below(path)
            expanded.inputs += found.inputs
            expanded.unreadable += found.unreadable
            expanded.mediaFiles += found.mediaFiles
            guard !found.inputs.isEmpty || !found.unreadable.isEmpty else {
                throw CofferError(nothingIn: path, mediaFiles: found.mediaFiles)
            }
        }
        return expanded
    }

    private static func below(_ folder: String) throws(CofferError) -> Expanded {
        var expanded = Expanded()
        do {
            let files = try FilesBelow(try FolderSource(path: folder)) { name in
                let isMedia = hasEnding(name, mediaEnding)
                if isMedia { expanded.mediaFiles += 1 }
                return !isMedia && endings.contains { hasEnding(name, $0) }
            }
            expanded.inputs = files.paths.map { WhatsAppInput(folder: folder, relativePath: $0) }
            expanded.unreadable = files.unreadable.map { path in
                WhatsAppReport(
                    file: WhatsAppInput(folder: folder, relativePath: path).path,
                    unreadable: "permission is missing, or the disk fails; what is in it was not looked at")
            }
        } catch {
            throw CofferError(
                .noSource, "\(folder) cannot be looked into. Nothing was done.", advice: "Check its permissions.")
        }
        return expanded
    }

    /// In any case: storage of phones and of Windows keeps names in upper case too.
    private static func hasEnding(_ name: [UInt8], _ ending: String) -> Bool {
        name.suffix(ending.utf8.count).map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 } == Array(ending.utf8)
    }

    /// The name that its content had before it was encrypted.
    func contentName(isIncrement: Bool) -> String {
        let name = FilePath.name(relativePath)
        var stem =
            Self.hasEnding(Array(name.utf8), ".crypt15") ? String(name.dropLast(".crypt15".count)) : "\(name).opened"
        // Of a file that has an ending and no name, or none that a file could have.
        if ["", ".", ".."].contains(stem) { stem = "backup" }
        return isIncrement && !stem.lowercased().hasSuffix(".zip") ? "\(stem).zip" : stem
    }

    /// WhatsApp calls increments so.
    var isNamedIncrement: Bool {
        FilePath.name(relativePath).lowercased().hasPrefix("msgstore-increment")
    }

    /// Hands the file out in pieces, in constant memory.
    /// - Parameter isDone: asked after each piece: whether the rest changes nothing.
    func read<Failure: Error>(
        until isDone: () -> Bool = { false },
        _ consume: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(WhatsAppReadError<Failure>) {
        let file: GivenFile
        do { file = try GivenFile(systemPath) } catch { throw .unreadable(error.words) }
        let failure: GivenFile.Unreadable?
        do throws(Failure) {
            failure = try file.read(pieceBytes: Self.pieceBytes, until: isDone, consume)
        } catch {
            throw .consumer(error)
        }
        if let failure { throw .unreadable(failure.words) }
    }
}

/// The parts of a path. Foundation's own stop the program at a relative path of one character.
enum FilePath {
    static func name(_ path: String) -> String { String(parts(path).name) }

    /// nil if there is no folder in the path.
    static func parent(_ path: String) -> String? {
        let (parent, _) = parts(path)
        guard let parent else { return nil }
        return parent.isEmpty ? "/" : String(parent)
    }

    private static func parts(_ path: String) -> (parent: Substring?, name: Substring) {
        var path = path[...]
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        guard let slash = path.lastIndex(of: "/") else { return (nil, path) }
        var parent = path[..<slash]
        while parent.hasSuffix("/") { parent.removeLast() }
        return (parent, path[path.index(after: slash)...])
    }
}

/// Why a file was not read to its end.
enum WhatsAppReadError<Failure: Error>: Error {
    case unreadable(String)
    case consumer(Failure)
}

extension CofferError {
    fileprivate init(nothingIn folder: String, mediaFiles: Int) {
        let media = mediaFiles == 0 ? "." : ", but \(mediaFiles) media files (.mcrypt1)."
        self.init(
            .noSource, "There is no .crypt15 file in \(folder)\(media)",
            advice: mediaFiles == 0
                ? "WhatsApp's backups lie in Android/media/com.whatsapp/WhatsApp/Databases and Backups."
                : "For those: coffer whatsapp media.")
    }
}
