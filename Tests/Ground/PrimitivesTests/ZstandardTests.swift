import ByteCoding
import Primitives
import TestSupport
import Testing

@Suite struct `Zstandard frames` {
    private func compress(_ bytes: [UInt8], lessThan limit: Int = .max / 2) -> [UInt8]? {
        bytes.withUnsafeBytes { Zstandard.compress($0, level: 3, lessThan: min(limit, bytes.count + 100)) }
    }

    @Test func `what compresses comes back`() throws {
        for size in [1, 100, 70_000, 3 << 20] {
            let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 / 7) }
            let frame = try #require(compress(bytes))
            #expect(try Zstandard.decompress(frame, count: size) == bytes)
        }
        #expect(
            try Zstandard.decompress(Hex.decode("28b52ffd206445000010616101003f012c"), count: 100)
                == [UInt8](repeating: 0x61, count: 100))
    }

    @Test func `what does not get shorter is left alone, and the limit is kept`() throws {
        var generator = SeededGenerator(seed: 1)
        let noise = generator.bytes(5_000)
        #expect(compress(noise, lessThan: 5_000) == nil)
        let plain = [UInt8](repeating: 1, count: 5_000)
        let size = try #require(compress(plain)).count
        // zstd wants some room beside the frame.
        #expect(compress(plain, lessThan: size + 64)?.count == size)
        for limit in [0, 1, 2, size] { #expect(compress(plain, lessThan: limit) == nil) }
    }

    @Test func `a frame that holds more or less than its owner says is refused, and takes no more space`() throws {
        let bomb = try #require(compress([UInt8](repeating: 0, count: 64 << 20)))
        #expect(bomb.count < 10_000)
        for count in [0, 1, 1_000, (64 << 20) - 1] {
            #expect(throws: Zstandard.DecompressionError.lengthMismatch) {
                try Zstandard.decompress(bomb, count: count)
            }
        }
        let frame = try #require(compress([UInt8](repeating: 1, count: 100)))
        #expect(throws: Zstandard.DecompressionError.lengthMismatch) { try Zstandard.decompress(frame, count: 101) }
    }

    @Test func `damaged frames are refused or give other bytes, and never more`() throws {
        let bytes = (0..<600).map { UInt8(truncatingIfNeeded: $0 * $0 / 5) }
        let frame = try #require(compress(bytes))
        for place in frame.indices {
            #expect(throws: Zstandard.DecompressionError.self) {
                try Zstandard.decompress(Array(frame[..<place]), count: 600)
            }
            for bit in 0..<8 {
                var altered = frame
                altered[place] ^= 1 << bit
                if let other = try? Zstandard.decompress(altered, count: 600) { #expect(other.count == 600) }
            }
        }
    }
}
