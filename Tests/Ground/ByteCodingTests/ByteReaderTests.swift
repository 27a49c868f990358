import ByteCoding
import TestSupport
import Testing

@Suite struct `Bytes in, bytes out` {
    @Test func `numbers are big-endian and come back`() throws {
        var writer = ByteWriter()
        writer.uint8(0x01)
        writer.uint16(0x0203)
        writer.uint32(0x0405_0607)
        writer.uint64(0x0809_0a0b_0c0d_0e0f)
        #expect(writer.bytes == Array(1...15))
        var reader = ByteReader(writer.bytes)
        #expect(try reader.uint8() == 0x01)
        #expect(try reader.uint16() == 0x0203)
        #expect(try reader.uint32() == 0x0405_0607)
        #expect(try reader.uint64() == 0x0809_0a0b_0c0d_0e0f)
        try reader.finish()
    }

    @Test(arguments: [(0xff, 1), (0x100, 2), (0xffff, 2), (0x1_0000, 3), (0xff_ffff, 3), (0x100_0000, 4)])
    func `a vector's length prefix is as wide as its ceiling needs`(ceiling: Int, width: Int) throws {
        var writer = ByteWriter()
        try writer.vector([7, 8], 0...ceiling)
        #expect(writer.bytes == [UInt8](repeating: 0, count: width - 1) + [2, 7, 8])
        var reader = ByteReader(writer.bytes)
        #expect(try reader.vector(0...ceiling) == [7, 8])
    }

    @Test func `lengths outside the limits are refused on both sides`() {
        var writer = ByteWriter()
        #expect(throws: ByteCodingError.lengthOutOfRange) { try writer.vector([1, 2, 3], 0...2) }
        #expect(throws: ByteCodingError.lengthOutOfRange) { try writer.vector([], 1...2) }
        #expect(throws: ByteCodingError.lengthOutOfRange) {
            var reader = ByteReader([3, 1, 2, 3])
            _ = try reader.vector(0...2)
        }
    }

    @Test func `every cut of a structure is refused as truncated`() throws {
        var writer = ByteWriter()
        try writer.vector([1, 2, 3], 0...0xffff)
        writer.uint32(9)
        for count in 0..<writer.bytes.count {
            #expect(throws: ByteCodingError.truncated) {
                var reader = ByteReader(writer.bytes[..<count])
                _ = try reader.vector(0...0xffff)
                _ = try reader.uint32()
            }
        }
    }

    @Test func `trailing bytes, odd booleans and invalid text are refused`() {
        #expect(throws: ByteCodingError.trailingBytes) { try ByteReader([1]).finish() }
        #expect(throws: ByteCodingError.invalidValue) {
            var reader = ByteReader([2, 0])
            _ = try reader.optional { reader throws(ByteCodingError) in try reader.uint8() }
        }
        #expect(throws: ByteCodingError.invalidText) {
            var reader = ByteReader([2, 0xc3, 0x28])
            _ = try reader.text(0...255)
        }
    }

    @Test func `random bytes never crash a reader`() {
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<2_000 {
            let bytes = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
                UInt8.random(in: .min ... .max, using: &generator)
            }
            var reader = ByteReader(bytes)
            _ = try? reader.list(0...0xffff) { inner throws(ByteCodingError) in try inner.vector(0...255) }
            _ = try? reader.uint64()
            #expect(reader.remaining >= 0)
        }
    }
}

@Suite struct `Hexadecimal` {
    @Test func `digits come back, in either case`() throws {
        #expect(Hex.encode([0x00, 0x7f, 0xff]) == "007fff")
        #expect(try Hex.decode("007fFF") == [0x00, 0x7f, 0xff])
    }

    @Test(arguments: ["0", "0g", "é0", " 00"])
    func `anything else is refused`(text: String) {
        #expect(throws: ByteCodingError.invalidHex) { try Hex.decode(text) }
    }
}
