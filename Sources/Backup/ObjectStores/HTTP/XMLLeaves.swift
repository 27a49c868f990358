/// The elements of an XML document that hold text and no other elements, in order, each under its path of names without
/// prefixes: all that answers of stores consist of. No entities but XML's own, no DTD.
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
    private static let leavesMax = 20_000
    private var bytes: ArraySlice<UInt8>
    private var names: [String] = []
    private var isLeaf = false
    private var text: [UInt8] = []
    private var leaves: [Leaf] = []

    static func read(_ bytes: [UInt8]) throws(Malformed) -> [Leaf] {
        var reader = XMLLeaves(bytes: bytes[...])
        while !reader.bytes.isEmpty { try reader.next() }
        guard reader.names.isEmpty, !reader.leaves.isEmpty else { throw .malformed }
        return reader.leaves
    }

    private init(bytes: ArraySlice<UInt8>) { self.bytes = bytes }

    private mutating func next() throws(Malformed) {
        guard bytes.first == UInt8(ascii: "<") else {
            let end = bytes.firstIndex(of: UInt8(ascii: "<")) ?? bytes.endIndex
            text += bytes[..<end]
            bytes = bytes[end...]
            return
        }
        if bytes.starts(with: Array("<?".utf8)) { return try skip(to: "?>") }
        if bytes.starts(with: Array("<!--".utf8)) { return try skip(to: "-->") }
        guard !bytes.starts(with: Array("<!".utf8)) else { throw .malformed }
        guard let end = bytes.firstIndex(of: UInt8(ascii: ">")) else { throw .malformed }
        let tag = String(decoding: bytes[bytes.startIndex + 1..<end], as: UTF8.self)
        bytes = bytes[(end + 1)...]
        if tag.hasPrefix("/") { return try close(tag.dropFirst()) }
        try open(tag)
        if tag.hasSuffix("/") { try close(Substring(names.last ?? "")) }
    }

    private mutating func skip(to end: String) throws(Malformed) {
        let end = Array(end.utf8)
        while !bytes.isEmpty {
            if bytes.starts(with: end) {
                bytes = bytes.dropFirst(end.count)
                return
            }
            bytes = bytes.dropFirst()
        }
        throw .malformed
    }

    private mutating func open(_ tag: String) throws(Malformed) {
        let name = Self.name(tag.prefix { !" \t\r\n/".contains($0) })
        guard !name.isEmpty, name.utf8.count <= Self.nameBytesMax, names.count < Self.depthMax else { throw .malformed }
        names.append(name)
        isLeaf = true
        text = []
    }

    private mutating func close(_ tag: Substring) throws(Malformed) {
        guard let open = names.last, Self.name(tag.prefix { !" \t\r\n".contains($0) }) == open else { throw .malformed }
        guard leaves.count < Self.leavesMax else { throw .malformed }
        if isLeaf { leaves.append(Leaf(path: names.joined(separator: "/"), text: try Self.resolved(text))) }
        names.removeLast()
        isLeaf = false
        text = []
    }

    private static func name(_ tag: Substring) -> String {
        String(tag.split(separator: ":", omittingEmptySubsequences: false).last ?? "")
    }

    private static func resolved(_ text: [UInt8]) throws(Malformed) -> String {
        let parts = String(decoding: text, as: UTF8.self).split(separator: "&", omittingEmptySubsequences: false)
        var resolved = String(parts.first ?? "")
        for part in parts.dropFirst() {
            guard let end = part.firstIndex(of: ";"), let character = character(part[..<end]) else { throw .malformed }
            resolved.append(character)
            resolved += part[part.index(after: end)...]
        }
        return resolved
    }

    private static func character(_ entity: Substring) -> Character? {
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
