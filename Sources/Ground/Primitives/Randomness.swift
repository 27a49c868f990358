import CSodium

/// Randomness is always handed in: `SystemRandomNumberGenerator` (the kernel's) in programs, a seeded one in tests.
extension RandomNumberGenerator {
    package mutating func bytes(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        bytes.withUnsafeMutableBytes { fill($0) }
        return bytes
    }

    package mutating func fill(_ buffer: UnsafeMutableRawBufferPointer) {
        if Self.self == SystemRandomNumberGenerator.self, let base = buffer.baseAddress {
            // From the kernel too, which `next` would ask anew for each eight bytes.
            Sodium.start()
            return randombytes_buf(base, buffer.count)
        }
        var offset = 0
        while offset < buffer.count {
            var word = next()
            withUnsafeBytes(of: &word) { word in
                let count = min(word.count, buffer.count - offset)
                UnsafeMutableRawBufferPointer(rebasing: buffer[offset..<offset + count])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: word[..<count]))
                offset += count
            }
        }
    }
}
