package import BackupEngine
package import BackupFormat
import Foundation

/// A file that was opened elsewhere, with a place in the tree of an import.
package struct ImportedFile {
    /// Of two names: a folder's and the file's.
    package let path: [UInt8]
    package let content: SealedFile
    package let isDatabase: Bool
    package let modifiedSeconds: Int64
    package let modifiedNanoseconds: UInt32

    package init(
        path: [UInt8], content: SealedFile, isDatabase: Bool, modifiedSeconds: Int64, modifiedNanoseconds: UInt32
    ) {
        self.path = path
        self.content = content
        self.isDatabase = isDatabase
        self.modifiedSeconds = modifiedSeconds
        self.modifiedNanoseconds = modifiedNanoseconds
    }
}

/// What is imported: files that were opened, in folders of their own, and a folder of this device, `Media`.
///
/// `@unchecked Sendable`: one backup reads it, one file at a time.
package final class ImportedSource: BackupSource, @unchecked Sendable {
    private static let mediaName = Array("Media".utf8)
    private static let slash = UInt8(ascii: "/")

    package let label: String
    /// By their folder, in order.
    private let files: [[UInt8]: [ImportedFile]]
    private let filesByPath: [[UInt8]: ImportedFile]
    private let media: FolderSource?

    /// - Parameters:
    ///   - files: whose paths differ, and do not begin with `Media/`.
    ///   - media: nil if there is none.
    package init(label: String, files: [ImportedFile], media: String?) throws(SourceError) {
        self.label = label
        let sorted = files.sorted { $0.path.lexicographicallyPrecedes($1.path) }
        self.files = Dictionary(grouping: sorted) { Array($0.path.prefix { $0 != Self.slash }) }
        filesByPath = Dictionary(sorted.map { ($0.path, $0) }) { first, _ in first }
        self.media = if let media { try FolderSource(path: media) } else { nil }
    }

    package func root() throws(SourceError) -> SourceNode {
        SourceNode(path: [], kind: .directory, metadata: metadata(of: Array(filesByPath.values)))
    }

    package func children(of directory: SourceNode) throws(SourceError) -> AnySequence<SourceNode> {
        if let inMedia = inMedia(directory.path) {
            guard let media else { throw .vanished }
            var node = directory
            node.path = inMedia
            return AnySequence(try media.children(of: node).lazy.map(Self.belowMedia))
        }
        guard directory.path.isEmpty else { return AnySequence((files[directory.path] ?? []).map(node)) }
        var folders = files.map { (path: $0.key, node: self.directory($0.key, $0.value)) }
        if let media { folders.append((path: Self.mediaName, node: Self.belowMedia(try media.root()))) }
        return AnySequence(folders.sorted { $0.path.lexicographicallyPrecedes($1.path) }.map(\.node))
    }

    package func open(_ file: SourceNode, attempt: Int) throws(SourceError) -> any SourceFile {
        if let (media, node) = mediaNode(file) { return try media.open(node, attempt: attempt) }
        guard let imported = filesByPath[file.path] else { throw .vanished }
        if imported.isDatabase, let database = ImportedDatabase(database: imported.content) { return database }
        return ImportedContent(imported.content)
    }

    package func version(of file: SourceNode, form: FileForm) -> FileVersion? {
        mediaNode(file).flatMap { $0.0.version(of: $0.1, form: form) }
    }

    package func attributes(of node: SourceNode) -> [ExtendedAttribute] {
        mediaNode(node).map { $0.0.attributes(of: $0.1) } ?? []
    }

    // MARK: Places

    private func directory(_ path: [UInt8], _ files: [ImportedFile]) -> SourceNode {
        SourceNode(path: path, kind: .directory, metadata: metadata(of: files))
    }

    private func node(_ file: ImportedFile) -> SourceNode {
        var metadata = metadata(of: [file])
        metadata.mode = 0o600
        return SourceNode(
            path: file.path, kind: .file(bytes: file.content.byteCount, linkGroup: 0), metadata: metadata,
            dataBytes: file.content.byteCount)
    }

    /// Of a folder: as of the newest file in it.
    private func metadata(of files: [ImportedFile]) -> Metadata {
        let newest = files.max {
            ($0.modifiedSeconds, $0.modifiedNanoseconds) < ($1.modifiedSeconds, $1.modifiedNanoseconds)
        }
        return Metadata(
            mode: 0o700, owner: getuid(), group: getgid(), modifiedSeconds: newest?.modifiedSeconds ?? 0,
            modifiedNanoseconds: newest?.modifiedNanoseconds ?? 0, attributes: [])
    }

    /// The path in the folder of media; nil for what is elsewhere.
    private func inMedia(_ path: [UInt8]) -> [UInt8]? {
        guard path.starts(with: Self.mediaName) else { return nil }
        let rest = path.dropFirst(Self.mediaName.count)
        return rest.isEmpty ? [] : rest.first == Self.slash ? Array(rest.dropFirst()) : nil
    }

    private func mediaNode(_ node: SourceNode) -> (FolderSource, SourceNode)? {
        guard let media, let path = inMedia(node.path) else { return nil }
        var inside = node
        inside.path = path
        return (media, inside)
    }

    private static func belowMedia(_ node: SourceNode) -> SourceNode {
        var outside = node
        outside.path = node.path.isEmpty ? mediaName : mediaName + [slash] + node.path
        return outside
    }
}

/// What was opened, read from the front.
private class ImportedContent: SourceFile {
    let content: SealedFile
    private var offset: UInt64 = 0

    init(_ content: SealedFile) { self.content = content }

    var form: FileForm { .asIs }
    var contentBytes: UInt64 { content.byteCount }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws(SourceError) {
        try content.read(into: buffer, at: offset)
        offset += UInt64(buffer.count)
    }

    func skip(_ count: Int) -> Bool {
        offset += UInt64(count)
        return true
    }

    func finish() throws(SourceError) { content.letGoOfBuffers() }
}

/// A database out of another backup. It is nobody's live file, and comes back byte for byte.
private final class ImportedDatabase: ImportedContent, DatabaseFile {
    let pageBytes: Int
    var keepsFreePages: Bool { true }

    /// nil if the header is none of SQLite's.
    init?(database content: SealedFile) {
        var header = [UInt8](repeating: 0, count: DatabaseHeader.byteCount)
        let isRead = header.withUnsafeMutableBytes { (try? content.read(into: $0, at: 0)) != nil }
        guard isRead, let parsed = DatabaseHeader(header) else { return nil }
        pageBytes = parsed.pageBytes
        super.init(content)
    }

    override var form: FileForm { .sqliteImage }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(SourceError) {
        try content.read(into: buffer, at: offset)
    }
}
