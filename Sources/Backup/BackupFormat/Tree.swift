package import ByteCoding

/// A list of chunks without an end in a bounded space (section 7).
package struct ChunkList: ByteCodable, Equatable, Sendable {
    package static let idsPerEntryMax = 128
    package static let idsPerChunkMax = 4_096
    package static let depthMax: UInt8 = 3

    package var depth: UInt8
    package var ids: [ChunkID]

    package init(depth: UInt8, ids: [ChunkID]) {
        self.depth = depth
        self.ids = ids
    }

    package static let empty = ChunkList(depth: 0, ids: [])

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        depth = try reader.uint8()
        guard depth <= Self.depthMax else { throw .invalidValue }
        ids = try reader.list(0...4_096)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint8(depth)
        try writer.list(ids, 0...4_096)
    }

    /// The ids in one chunk of a list of depth above 0.
    package static func ids(inChunk content: [UInt8]) throws(ByteCodingError) -> [ChunkID] {
        guard content.count.isMultiple(of: ChunkID.byteCount),
            (1...idsPerChunkMax).contains(content.count / ChunkID.byteCount)
        else { throw .lengthOutOfRange }
        var reader = ByteReader(content)
        var ids: [ChunkID] = []
        while reader.remaining > 0 { ids.append(try ChunkID(from: &reader)) }
        return ids
    }
}

/// A file's extended attribute: name and value as the file system gives them.
package struct ExtendedAttribute: ByteCodable, Equatable, Sendable {
    package var name: [UInt8]
    package var value: [UInt8]

    package init(name: [UInt8], value: [UInt8]) {
        self.name = name
        self.value = value
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        name = try reader.vector(1...0xff)
        value = try reader.vector(0...0xff_ffff)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try writer.vector(name, 1...0xff)
        try writer.vector(value, 0...0xff_ffff)
    }
}

/// What a file system says of a file, folder or link beside its content.
package struct Metadata: Equatable, Sendable {
    /// Permission, set-id and sticky bits: at most 0o7777.
    package var mode: UInt32
    package var owner: UInt32
    package var group: UInt32
    package var modifiedSeconds: Int64
    package var modifiedNanoseconds: UInt32
    package var attributes: [ExtendedAttribute]

    package init(
        mode: UInt32, owner: UInt32, group: UInt32, modifiedSeconds: Int64, modifiedNanoseconds: UInt32,
        attributes: [ExtendedAttribute]
    ) {
        self.mode = mode
        self.owner = owner
        self.group = group
        self.modifiedSeconds = modifiedSeconds
        self.modifiedNanoseconds = modifiedNanoseconds
        self.attributes = attributes
    }
}

/// How a file's content was read (section 7).
package enum FileForm: UInt8, Sendable {
    case asIs = 0
    /// A database's image as of one moment, with its write-ahead log folded in.
    case sqliteImage = 1
    /// Such an image as a chain of layers of pages (section 8).
    case sqlitePages = 2
}

/// A file's content: blocks of one size, the last one shorter or equal, or a chain of layers of pages.
package struct FileContent: Equatable, Sendable {
    package var form: FileForm
    /// 0, or equal for names that are hard links to one file.
    package var linkGroup: UInt64
    package var contentBytes: UInt64
    /// Of a block; of a page where there are layers.
    package var blockBytes: UInt32
    package var blocks: ChunkList
    /// Of a file of form `sqlitePages`, which has no blocks; else none.
    package var layers: [PageLayer] = []

    package init(form: FileForm, linkGroup: UInt64, contentBytes: UInt64, blockBytes: UInt32, blocks: ChunkList) {
        self.form = form
        self.linkGroup = linkGroup
        self.contentBytes = contentBytes
        self.blockBytes = blockBytes
        self.blocks = blocks
    }

    /// A database by pages; the last layer is its image.
    package init(linkGroup: UInt64, pageBytes: Int, layers: [PageLayer]) {
        form = .sqlitePages
        self.linkGroup = linkGroup
        contentBytes = UInt64(layers.last?.pageCount ?? 0) * UInt64(pageBytes)
        blockBytes = UInt32(pageBytes)
        blocks = .empty
        self.layers = layers
    }

    /// Files up to this size are one block.
    package static let singleBlockBytesMax = 4 << 20
    /// The blocks of larger files.
    package static let largeFileBlockBytes = 4 << 20
}

/// One name in a folder (section 7).
package struct Entry: Equatable, Sendable {
    package enum Kind: Equatable, Sendable {
        case file(FileContent)
        case directory(ChunkList)
        case symbolicLink(target: [UInt8])
    }

    package var name: [UInt8]
    package var metadata: Metadata
    package var kind: Kind

    package init(name: [UInt8], metadata: Metadata, kind: Kind) {
        self.name = name
        self.metadata = metadata
        self.kind = kind
    }

    /// The name of a snapshot's root; no other entry may have it.
    package static let rootName = Array(".".utf8)

    /// The path of a name in a folder, `/` between names; the root's is empty.
    package static func path(of name: [UInt8], in folder: [UInt8]) -> [UInt8] {
        folder.isEmpty ? name : folder + [UInt8(ascii: "/")] + name
    }

    /// Its path, if it lies in this folder.
    package func path(in folder: [UInt8]) -> [UInt8] { Self.path(of: name, in: folder) }

    /// Whether a name stays inside its folder: the check that stops an entry from escaping the target of a restore.
    package static func isSafe(name: [UInt8]) -> Bool {
        !name.isEmpty && name != Array(".".utf8) && name != Array("..".utf8)
            && !name.contains(UInt8(ascii: "/")) && !name.contains(0)
    }
}
