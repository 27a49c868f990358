package import ByteCoding

extension Entry: ByteCodable {
    private enum KindCode: UInt8 {
        case file = 1
        case directory = 2
        case symbolicLink = 3
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        name = try reader.vector(1...0xffff)
        guard let code = KindCode(rawValue: try reader.uint8()) else { throw .invalidValue }
        metadata = try Metadata(from: &reader)
        switch code {
        case .file: kind = .file(try FileContent(from: &reader))
        case .directory: kind = .directory(try ChunkList(from: &reader))
        case .symbolicLink:
            let target = try reader.vector(1...0xffff)
            guard !target.contains(0) else { throw .invalidValue }
            kind = .symbolicLink(target: target)
        }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try writer.vector(name, 1...0xffff)
        switch kind {
        case .file(let content):
            writer.uint8(KindCode.file.rawValue)
            try metadata.encode(into: &writer)
            try content.encode(into: &writer)
        case .directory(let listings):
            writer.uint8(KindCode.directory.rawValue)
            try metadata.encode(into: &writer)
            try listings.encode(into: &writer)
        case .symbolicLink(let target):
            writer.uint8(KindCode.symbolicLink.rawValue)
            try metadata.encode(into: &writer)
            try writer.vector(target, 1...0xffff)
        }
    }
}

extension Metadata: ByteCodable {
    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        mode = try reader.uint32()
        owner = try reader.uint32()
        group = try reader.uint32()
        modifiedSeconds = Int64(bitPattern: try reader.uint64())
        modifiedNanoseconds = try reader.uint32()
        attributes = try reader.list(0...0xff_ffff)
        guard mode <= 0o7777, modifiedNanoseconds < 1_000_000_000 else { throw .invalidValue }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint32(mode)
        writer.uint32(owner)
        writer.uint32(group)
        writer.uint64(UInt64(bitPattern: modifiedSeconds))
        writer.uint32(modifiedNanoseconds)
        try writer.list(attributes, 0...0xff_ffff)
    }
}

extension FileContent: ByteCodable {
    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        guard let form = FileForm(rawValue: try reader.uint8()) else { throw .invalidValue }
        self.form = form
        linkGroup = try reader.uint64()
        contentBytes = try reader.uint64()
        blockBytes = try reader.uint32()
        guard contentBytes <= UInt64(Int.max) / 2 else { throw .invalidValue }
        if form == .sqlitePages {
            blocks = .empty
            layers = try reader.list(1...0xff_ffff)
            guard hasSoundLayers else { throw .invalidValue }
        } else {
            blocks = try ChunkList(from: &reader)
            guard blockBytes <= chunkBytesMax, (contentBytes == 0) == (blockBytes == 0),
                (contentBytes == 0) == blocks.ids.isEmpty
            else { throw .invalidValue }
        }
    }

    private var hasSoundLayers: Bool {
        guard let last = layers.last, layers.count <= PageLayer.layersMax,
            databasePageBytes.contains(Int(blockBytes)), blockBytes & (blockBytes - 1) == 0
        else { return false }
        return contentBytes == UInt64(last.pageCount) * UInt64(blockBytes)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint8(form.rawValue)
        writer.uint64(linkGroup)
        writer.uint64(contentBytes)
        writer.uint32(blockBytes)
        if form == .sqlitePages {
            try writer.list(layers, 1...0xff_ffff)
        } else {
            try blocks.encode(into: &writer)
        }
    }
}

/// A run of a folder's entries, the content of one chunk (section 7).
package struct Listing: ByteCodable, Equatable, Sendable {
    package var entries: [Entry]

    package init(entries: [Entry]) { self.entries = entries }

    /// Refuses names that would leave their folder, and any order but the one of section 7.
    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        entries = try reader.list(0...0xff_ffff)
        guard entries.allSatisfy({ Entry.isSafe(name: $0.name) }),
            zip(entries, entries.dropFirst()).allSatisfy({ $0.name.lexicographicallyPrecedes($1.name) })
        else { throw .invalidValue }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try writer.list(entries, 0...0xff_ffff)
    }
}
