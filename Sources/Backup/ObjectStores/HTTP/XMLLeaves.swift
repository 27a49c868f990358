/// The elements of an XML document that hold text and no other elements, in order, each under its path of names without
/// prefixes: all that answers of stores consist of. No entities but XML's own, no DTD.
///
/// Whoever answers has proven nothing yet: everything is measured before something is made of it.
struct XMLLeaves {
    struct Leaf: Equatable {
        /// `ListBucketResult/Contents/Key`
        var path: String
        var text: String
    }

    enum Malformed: Error { case malformed }

    private static let depthMax = 16
    // Each leaf repeats the names above it: without bounds a small document would fill the memory.
    private static let nameBytesMax = 64
    private static let tagBytesMax = 8 << 10
    private static let textBytesMax = 64 << 10
    /// `#x10FFFF`, with zeros before it if somebody likes.
    private static let entityBytesMax = 16
    private static let leavesMax = 20_000

    private static let instruction = Array("<?".utf8)
    private static let comment = Array("<!--".utf8)
    private static let declaration = Array("<!".utf8)

    private var bytes: ArraySlice<UInt8>
    private var names: [String] = []
    private var isLeaf = false
    private var text: [UInt8] = []

    /// All of them, of a document that has few.
    static func read(_ bytes: [UInt8]) throws(Malformed) -> [Leaf] {
        var leaves: [Leaf] = []
        try read(bytes) { leaf throws(Malformed) in
            guard leaves.count < leavesMax else { throw .malformed }
            leaves.append(leaf)
        }
        guard !leaves.isEmpty else { throw .malformed }
        return leaves
    }

    /// - Parameter take: is given one after the other.
    static func read(_ bytes: [UInt8], _ take: (Leaf) throws(Malformed) -> Void) throws(Malformed) {
        var reader = XMLLeaves(bytes: bytes[...])
        while !reader.bytes.isEmpty {
            if let leaf = try reader.next() { try take(leaf) }
        }
        guard reader.names.isEmpty else { throw .malformed }
    }

    private init(bytes: ArraySlice<UInt8>) { self.bytes = bytes }

    /// - Returns: the leaf that ends here, if one does.
    private mutating func next() throws(Malformed) -> Leaf? {
        guard bytes.first == UInt8(ascii: "<") else {
            let end = bytes.firstIndex(of: UInt8(ascii: "<")) ?? bytes.endIndex
            guard end - bytes.startIndex <= Self.textBytesMax - text.count else { throw .malformed }
            text += bytes[..<end]
            bytes = bytes[end...]
            return nil
        }
        if bytes.starts(with: Self.instruction) { return try skip(to: Array("?>".utf8)) }
        if bytes.starts(with: Self.comment) { return try skip(to: Array("-->".utf8)) }
        guard !bytes.starts(with: Self.declaration),
            let end = bytes.prefix(Self.tagBytesMax).firstIndex(of: UInt8(ascii: ">"))
        else { throw .malformed }
        let tag = bytes[(bytes.startIndex + 1)..<end]
        bytes = bytes[(end + 1)...]
        if tag.first == UInt8(ascii: "/") { return try close(try Self.name(tag.dropFirst())) }
        try open(try Self.name(tag.last == UInt8(ascii: "/") ? tag.dropLast() : tag))
        return tag.last == UInt8(ascii: "/") ? try close(names.last ?? "") : nil
    }

    private mutating func skip(to end: [UInt8]) throws(Malformed) -> Leaf? {
        while let next = bytes.firstIndex(of: end[0]) {
            bytes = bytes[next...]
            if bytes.starts(with: end) {
                bytes = bytes.dropFirst(end.count)
                return nil
            }
            bytes = bytes.dropFirst()
        }
        throw .malformed
    }

    private mutating func open(_ name: String) throws(Malformed) {
        guard names.count < Self.depthMax else { throw .malformed }
        names.append(name)
        isLeaf = true
        text = []
    }

    private mutating func close(_ name: String) throws(Malformed) -> Leaf? {
        guard names.last == name else { throw .malformed }
        defer {
            names.removeLast()
            isLeaf = false
            text = []
        }
        return isLeaf ? Leaf(path: names.joined(separator: "/"), text: try Self.resolved(text)) : nil
    }

    /// Of what stands between `<` or `</` and the end of the tag.
    private static func name(_ tag: ArraySlice<UInt8>) throws(Malformed) -> String {
        let whole = tag.prefix { $0 > UInt8(ascii: " ") }
        let name = whole.lastIndex(of: UInt8(ascii: ":")).map { whole[($0 + 1)...] } ?? whole
        guard (1...nameBytesMax).contains(name.count), !name.contains(UInt8(ascii: "/")) else { throw .malformed }
        return String(decoding: name, as: UTF8.self)
    }

    private static func resolved(_ text: [UInt8]) throws(Malformed) -> String {
        var resolved: [UInt8] = []
        var rest = text[...]
        while let mark = rest.firstIndex(of: UInt8(ascii: "&")) {
            resolved += rest[..<mark]
            rest = rest[(mark + 1)...]
            guard let end = rest.prefix(entityBytesMax).firstIndex(of: UInt8(ascii: ";")),
                let character = character(String(decoding: rest[..<end], as: UTF8.self))
            else { throw .malformed }
            resolved += String(character).utf8
            rest = rest[(end + 1)...]
        }
        return String(decoding: resolved + rest, as: UTF8.self)
    }

    private static func character(_ entity: String) -> Character? {
        switch entity {
        case "amp": return "&"
        case "lt": return "<"
        case "gt": return ">"
        case "quot": return "\""
        case "apos": return "'"
        default:
            let number =
                entity.hasPrefix("#x")
                ? UInt32(entity.dropFirst(2), radix: 16) : entity.hasPrefix("#") ? UInt32(entity.dropFirst()) : nil
            return number.flatMap(Unicode.Scalar.init).map(Character.init)
        }
    }
}
