package import BackupEngine
package import BackupFormat

/// WhatsApp's folder, read as any folder is; it knows which of WhatsApp's own backups in it a newer one has replaced.
package struct WhatsAppSource: BackupSource {
    private static let dumps = Array("Databases".utf8)

    private let folder: FolderSource
    /// As of when the source was made: what WhatsApp renames since then is saved.
    private let superseded: Set<[UInt8]>

    /// - Parameters:
    ///   - path: the folder that `WhatsAppFolder.find` found.
    ///   - label: what stands in the snapshot.
    package init(path: String, label: String) throws(SourceError) {
        guard WhatsAppFolder.isWhatsApp(path) else { throw .noSource(label) }
        folder = try FolderSource(path: path, label: label)
        superseded = Self.superseded(in: folder)
    }

    private static func superseded(in folder: FolderSource) -> Set<[UInt8]> {
        guard let dumps = folder.node(at: Self.dumps), case .directory = dumps.kind,
            let children = try? folder.children(of: dumps)
        else { return [] }
        let files = children.compactMap { node -> LocalDumps.File? in
            guard case .file(let bytes, _) = node.kind else { return nil }
            return LocalDumps.File(name: node.name, bytes: bytes, modifiedSeconds: node.metadata.modifiedSeconds)
        }
        return Set(LocalDumps(files).superseded.map { Entry.path(of: $0, in: Self.dumps) })
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
