package import BackupEngine

/// Some of the files below a folder, and what of it could not be looked at. Paths are from that folder, as bytes.
package struct FilesBelow: Sendable {
    /// By folder and name.
    package private(set) var paths: [[UInt8]] = []
    package private(set) var unreadable: [[UInt8]] = []

    /// Symbolic links below the folder are not followed: they could lead anywhere, and in circles.
    ///
    /// - Parameter isWanted: given a file's name.
    /// - Throws: if the folder itself cannot be read.
    package init(_ source: FolderSource, where isWanted: ([UInt8]) -> Bool) throws(SourceError) {
        var folders = [try source.root()]
        while let folder = folders.popLast() {
            let children: AnySequence<SourceNode>
            do {
                children = try source.children(of: folder)
            } catch {
                if folder.path.isEmpty { throw error }
                unreadable.append(folder.path)
                continue
            }
            for node in children {
                switch node.kind {
                case .directory: folders.append(node)
                case .file where isWanted(node.name): paths.append(node.path)
                case .unreadable: unreadable.append(node.path)
                default: break
                }
            }
        }
        paths.sort { $0.lexicographicallyPrecedes($1) }
    }
}
