import ByteCoding
import Primitives
import TestSupport
import Testing

@Suite struct `ristretto255` {
    /// RFC 9496 appendix A.1: the generator's first multiples.
    static let multiples = [
        "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76",
        "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919",
        "94741f5d5d52755ece4f23f044ee27d5d1ea1e2bd196b462166b16152a9d0259",
        "da80862773358b466ffadfe0b3293ab3d9fd53c5ea6c955358f568322daf6a57",
    ]

    @Test func `multiples of the generator are those of RFC 9496`() throws {
        var sum = GroupElement.generator
        for (position, expected) in Self.multiples.enumerated() {
            #expect(Hex.encode(Scalar(UInt8(position + 1)).timesGenerator.bytes) == expected)
            #expect(Hex.encode(sum.bytes) == expected)
            sum = sum + .generator
        }
    }

    /// RFC 9496 appendix A.2: non-canonical, negative, not on the curve.
    @Test(arguments: [
        "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
        "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2df6",
        "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d",
    ])
    func `bad encodings of elements are refused`(hex: String) throws {
        #expect(throws: GroupError.invalidElement) { try GroupElement(validating: try Hex.decode(hex)) }
    }

    @Test func `the identity is refused, from outside and to outside`() throws {
        #expect(throws: GroupError.identity) { try GroupElement(validating: [UInt8](repeating: 0, count: 32)) }
        let identity = Scalar(0) * GroupElement.generator
        #expect(identity.isIdentity)
        #expect(throws: ByteCodingError.invalidValue) { try identity.encoded() }
        #expect(throws: ByteCodingError.invalidValue) {
            try GroupElement(decoding: [UInt8](repeating: 0, count: 32))
        }
    }

    /// The order of the group, RFC 9496 section 4.4.
    static let order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"

    @Test func `zero, the order and numbers above it are not scalars`() throws {
        #expect(throws: GroupError.invalidScalar) { try Scalar(copying: [UInt8](repeating: 0, count: 32)) }
        #expect(throws: GroupError.invalidScalar) { try Scalar(copying: [UInt8](repeating: 0xff, count: 32)) }
        #expect(throws: GroupError.invalidScalar) { try Scalar(copying: try Hex.decode(Self.order)) }
        var below = try Hex.decode(Self.order)
        below[0] -= 1
        #expect(try Scalar(copying: below) + .one == Scalar(0))
    }

    @Test func `scalars add, multiply and invert`() throws {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<20 {
            let (a, b) = (Scalar.random(using: &generator), Scalar.random(using: &generator))
            #expect((a + b).timesGenerator == a.timesGenerator + b.timesGenerator)
            #expect((a * b).timesGenerator == a * b.timesGenerator)
            #expect(a - b + b == a)
            let inverse = try #require(a.inverted)
            #expect(inverse * a == .one)
        }
        #expect(Scalar(0).inverted == nil)
    }

    @Test func `taking a scalar's bytes over wipes them`() throws {
        var bytes = Scalar(7).exposed()
        _ = try Scalar(wiping: &bytes)
        #expect(bytes == [UInt8](repeating: 0, count: 32))
        #expect("\(Scalar(7))" == "<secret scalar>")
    }
}
