package import BackupEngine
package import BackupFormat

/// WhatsApp's folder, read as any folder is; it knows which of WhatsApp's own backups in it a newer one has replaced.
package struct WhatsAppSource: BackupSource {
    private static let dumps = Array("Databases".utf8)

    /// A tag.
    private static let tailBytes: UInt64 = 16

    private let folder: FolderSource
    /// As of when the source was made: what WhatsApp renames since then is saved.
    private let superseded: Set<[UInt8]>

    /// - Parameters:
    ///   - path: the folder that `WhatsAppFolder.find` found.
    ///   - label: what stands in the snapshot.
    ///   - apart: as in `FolderSource`.
    package init(path: String, label: String, apart: String? = nil) throws(SourceError) {
        guard WhatsAppFolder.isWhatsApp(path) else { throw .noSource(label) }
        folder = try FolderSource(path: path, label: label, apart: apart)
        superseded = Self.superseded(in: folder, Array(path.utf8))
    }

    private static func superseded(in folder: FolderSource, _ base: [UInt8]) -> Set<[UInt8]> {
        guard let dumps = folder.node(at: Self.dumps), case .directory = dumps.kind,
            let children = try? folder.children(of: dumps)
        else { return [] }
        let files = children.compactMap { node -> LocalDumps.File? in
            guard case .file(let bytes, _) = node.kind else { return nil }
            return LocalDumps.File(
                name: node.name, bytes: bytes, modifiedSeconds: node.metadata.modifiedSeconds,
                isSound: isSound(node, bytes: bytes, base))
        }
        return Set(LocalDumps(files).superseded.map { Entry.path(of: $0, in: Self.dumps) })
    }

    private static func isSound(_ node: SourceNode, bytes: UInt64, _ base: [UInt8]) -> Bool {
        guard let dump = LocalDump(name: node.name), !dump.isIncrement,
            let file = FileHandleOwner(systemPath(base, node.path)),
            let head = try? file.bytes(at: 0, count: LocalDump.headBytes),
            let tail = try? file.bytes(at: bytes - min(bytes, tailBytes), count: Int(tailBytes))
        else { return false }
        return dump.isSound(head: head, tail: tail)
    }

    package func isSuperseded(_ node: SourceNode) -> Bool {
        guard case .file = node.kind else { return false }
        return superseded.contains(node.path)
    }

    package var label: String { folder.label }
    package func root() throws(SourceError) -> SourceNode { try folder.root() }
    package func children(of directory: SourceNode) throws(SourceError) -> AnySequence<SourceNode> {
        try folder.children(of: directory)
    }
    package func node(at path: [UInt8]) -> SourceNode? { folder.node(at: path) }
    package func open(_ file: SourceNode, attempt: Int) throws(SourceError) -> any SourceFile {
        try folder.open(file, attempt: attempt)
    }
    package func version(of file: SourceNode, form: FileForm) -> FileVersion? { folder.version(of: file, form: form) }
    package func attributes(of node: SourceNode) -> [ExtendedAttribute] { folder.attributes(of: node) }
}
