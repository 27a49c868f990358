import BackupFormat
import ByteCoding
import TestSupport
import Testing

@testable import BackupEngine

@Suite struct `The free pages of a database` {
    /// Whatever a list of free pages says, reading it ends, and no page outside is touched.
    @Test func `random lists are understood or refused`() throws {
        var generator = SeededGenerator(seed: 1)
        var understood = 0
        for _ in 0..<3_000 {
            let pageCount = Int.random(in: 1...6, using: &generator)
            var image = [UInt8](repeating: 0, count: pageCount * 512)
            func put(_ value: Int, at offset: Int) {
                for byte in 0..<4 { image[offset + byte] = UInt8(truncatingIfNeeded: value >> (24 - 8 * byte)) }
            }
            for page in 0..<pageCount {
                put(Int.random(in: 0...pageCount + 1, using: &generator), at: page * 512)
                put(Int.random(in: 0...2, using: &generator), at: page * 512 + 4)
                for leaf in 0..<3 {
                    put(Int.random(in: 0...pageCount + 1, using: &generator), at: page * 512 + 8 + 4 * leaf)
                }
            }
            image.replaceSubrange(0..<16, with: Array("SQLite format 3\u{0}".utf8))
            image.replaceSubrange(16..<24, with: [2, 0, 1, 1, 0, 64, 32, 32])
            put(Int.random(in: 0...pageCount + 1, using: &generator), at: 32)
            put(Int.random(in: 0...4, using: &generator), at: 36)
            let free = try FreePages(pageBytes: 512, pageCount: pageCount) { page throws(SourceError) in
                Array(image[page * 512..<(page + 1) * 512])
            }
            guard let free else { continue }
            understood += 1
            let expected = withoutFreePages(image)
            for page in 0..<pageCount {
                var bytes = Array(image[page * 512..<(page + 1) * 512])
                bytes.withUnsafeMutableBytes { free.clear(page, $0) }
                #expect(bytes[...] == expected[page * 512..<(page + 1) * 512])
            }
        }
        #expect(understood > 100)
    }
}
