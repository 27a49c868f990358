import CPKCS11

/// A template: what an object has, or should have.
struct TokenAttributes {
    private var entries: [(type: UInt, value: [UInt8])] = []

    mutating func set(_ type: UInt, _ value: [UInt8]) { entries.append((type, value)) }
    mutating func set(_ type: UInt, _ text: String) { set(type, Array(text.utf8)) }
    mutating func set(_ type: UInt, number: UInt) { set(type, withUnsafeBytes(of: number) { Array($0) }) }
    mutating func set(_ type: UInt, _ flag: Bool) { set(type, [flag ? 1 : 0]) }

    /// Lends the template as the module wants it. The values lie on 8-byte boundaries, since modules read numbers in place.
    func withTemplate<Result>(_ body: (UnsafeMutablePointer<CK_ATTRIBUTE>?, UInt) -> Result) -> Result {
        let alignment = 8
        let sizes = entries.map { ($0.value.count + alignment) / alignment * alignment }
        let storage = UnsafeMutableRawBufferPointer.allocate(byteCount: sizes.reduce(0, +), alignment: alignment)
        defer { storage.deallocate() }
        var template: [CK_ATTRIBUTE] = []
        var offset = 0
        for (entry, size) in zip(entries, sizes) {
            let value = UnsafeMutableRawBufferPointer(rebasing: storage[offset..<offset + size])
            value.copyBytes(from: entry.value)
            template.append(
                CK_ATTRIBUTE(type: entry.type, pValue: value.baseAddress, ulValueLen: UInt(entry.value.count)))
            offset += size
        }
        return template.withUnsafeMutableBufferPointer { body($0.baseAddress, UInt($0.count)) }
    }
}
