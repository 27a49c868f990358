package import BackupFormat

/// What is backed up: a tree of folders, files and links that goes on living while it is read.
package protocol BackupSource: Sendable {
    /// Where it is, for people; stands in the snapshot.
    var label: String { get }
    /// What the person chose not to save, a category or a pattern on a line; empty if nothing. Stands in the snapshot.
    var leftOut: String { get }
    /// The source's own folder.
    func root() throws(SourceError) -> SourceNode
    /// What a folder holds, sorted by name as bytes. Each node is looked at when its turn comes: a folder may hold very many.
    func children(of directory: SourceNode) throws(SourceError) -> AnySequence<SourceNode>
    /// What is at a path now; nil if there is nothing.
    func node(at path: [UInt8]) -> SourceNode?
    /// Opens a file.
    /// - Parameter attempt: from 0, rising when a file changed while it was read; a source may take a stronger lock.
    func open(_ file: SourceNode, attempt: Int) throws(SourceError) -> any SourceFile
    /// How a file looks that was read in this form before, all files included that its content came from; nil if that
    /// cannot be told, and it must be read.
    func version(of file: SourceNode, form: FileForm) -> FileVersion?
    /// The extended attributes of a node, sorted by name, where its metadata does not hold them.
    func attributes(of node: SourceNode) -> [ExtendedAttribute]
    /// Whether a newer file in the source has taken the place of a file, so that little is lost if it is not saved.
    func isSuperseded(_ node: SourceNode) -> Bool
}

extension BackupSource {
    package var leftOut: String { "" }

    package func node(at path: [UInt8]) -> SourceNode? {
        var node = try? root()
        for name in path.split(separator: UInt8(ascii: "/")) {
            guard let folder = node else { return nil }
            node = (try? children(of: folder))?.first { $0.name == Array(name) }
        }
        return node
    }

    package func version(of file: SourceNode, form: FileForm) -> FileVersion? { nil }
    package func attributes(of node: SourceNode) -> [ExtendedAttribute] { node.metadata.attributes }
    package func isSuperseded(_ node: SourceNode) -> Bool { false }
}

/// What changes whenever a file does.
package struct FileVersion: Equatable, Sendable {
    /// Sizes, times, inodes: whatever the source can tell, compared as bytes.
    package var bytes: [UInt8]
    /// When any of it changed last, in seconds since 1970, by a clock that nobody can set back for one file.
    package var changedSeconds: Int64

    package init(bytes: [UInt8], changedSeconds: Int64) {
        self.bytes = bytes
        self.changedSeconds = changedSeconds
    }
}

/// One folder, file or link in a source.
package struct SourceNode: Sendable {
    package enum Kind: Sendable, Equatable {
        /// - bytes: as the folder says now; reading may find another number.
        /// - linkGroup: 0, or equal for names of one file.
        case file(bytes: UInt64, linkGroup: UInt64)
        case directory
        case symbolicLink(target: [UInt8])
        /// A socket, pipe or device.
        case other
        /// It is there, but its attributes could not be read.
        case unreadable
    }

    /// Relative to the source, `/` between names; empty for the root.
    package var path: [UInt8]
    package var kind: Kind
    package var metadata: Metadata
    /// How the file itself looked when its folder was read.
    package var version: FileVersion?
    /// What the file takes on the disk, which is less than its bytes if it has holes; nil if that cannot be told.
    package var dataBytes: UInt64?

    package init(
        path: [UInt8], kind: Kind, metadata: Metadata, version: FileVersion? = nil, dataBytes: UInt64? = nil
    ) {
        self.path = path
        self.kind = kind
        self.metadata = metadata
        self.version = version
        self.dataBytes = dataBytes
    }

    /// The last part of the path.
    package var name: [UInt8] {
        guard let slash = path.lastIndex(of: UInt8(ascii: "/")) else { return path }
        return Array(path[(slash + 1)...])
    }
}

/// A file open for reading once, from the front.
package protocol SourceFile {
    var form: FileForm { get }
    /// How many bytes `read` will give in all, as known when it was opened.
    var contentBytes: UInt64 { get }
    /// Fills the buffer; throws `.changed` if the file ends before.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws(SourceError)
    /// Goes on behind the next bytes, if it is known without reading that there is nothing but a hole.
    func skipHole(_ count: Int) -> Bool
    /// Goes on behind the next bytes without reading them; false if it cannot.
    func skip(_ count: Int) -> Bool
    /// Throws `.changed` if what was read may not be the file of one moment.
    func finish() throws(SourceError)
}

/// An SQLite database whose image, as of the moment when it was opened, can be read at any place until `finish`.
package protocol DatabaseFile: SourceFile {
    var pageBytes: Int { get }
    /// Whether free pages come back as they are, and not as zeros: for a file that is to stay what it is to the byte.
    var keepsFreePages: Bool { get }
    /// Fills the buffer from a place in the image; the place of `read(into:)` stays.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(SourceError)
}

extension DatabaseFile {
    package var keepsFreePages: Bool { false }
}

extension SourceFile {
    package func skipHole(_ count: Int) -> Bool { false }
    package func skip(_ count: Int) -> Bool { false }
}

/// Why a part of a source could not be read.
package enum SourceError: Error, Equatable, Sendable {
    /// The source itself is not there or is not a folder.
    case noSource(String)
    /// No permission, or an input error.
    case unreadable(String)
    /// It was there a moment ago.
    case vanished
    /// It changed while it was read: reading it again may help.
    case changed
}
