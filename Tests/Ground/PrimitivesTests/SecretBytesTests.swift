import ByteCoding
import Primitives
import TestSupport
import Testing

@Suite struct `Secret bytes` {
    @Test func `do not print, whatever prints them`() {
        let secret = SecretBytes(copying: Array("hunter2 hunter2".utf8))
        var dumped = ""
        dump(secret, to: &dumped)
        dump([secret], to: &dumped)
        for text in [
            "\(secret)", String(reflecting: secret), "\([secret])", String(describing: Optional(secret)), dumped,
        ] {
            #expect(!text.contains("hunter") && !text.contains("104") && !text.contains("68"))
            #expect(text.contains("15 secret bytes"))
        }
    }

    @Test func `wipe the array that they came in`() {
        var bytes = [UInt8](1...32)
        let secret = SecretBytes(wiping: &bytes)
        #expect(bytes == [UInt8](repeating: 0, count: 32))
        #expect(secret.withBytes { Array($0) } == Array(1...32))
        var other = [UInt8](1...5)
        other.wipe()
        #expect(other == [0, 0, 0, 0, 0])
        var none: [UInt8] = []
        none.wipe()
        #expect(SecretBytes(wiping: &none).count == 0)
    }

    @Test func `are equal by content and length alone`() {
        let secret = SecretBytes(copying: [1, 2, 3])
        #expect(secret.isEqual(to: SecretBytes(copying: [1, 2, 3])))
        for other: [UInt8] in [[], [1, 2], [1, 2, 3, 0], [1, 2, 4], [0, 2, 3]] {
            #expect(!secret.isEqual(to: SecretBytes(copying: other)))
        }
        #expect(SecretBytes(copying: []).isEqual(to: SecretBytes(copying: [])))
        #expect(constantTimeEquals([], []) && constantTimeEquals([1], [1]))
        #expect(!constantTimeEquals([1], [2]) && !constantTimeEquals([1], [1, 0]))
    }

    @Test func `are apart from each other, and a place that is used again holds nothing of before`() {
        var generator = SeededGenerator(seed: 2)
        for _ in 0..<3 {
            let expected = (0..<700).map { generator.bytes([0, 1, 32, 63, 64, 65, 200][$0 % 7]) }
            let secrets = expected.map { SecretBytes(copying: $0) }
            for (secret, bytes) in zip(secrets, expected) { #expect(secret.withBytes { Array($0) } == bytes) }
        }
        let fresh = (0..<700).map { _ in SecretBytes(count: 64) { _ in } }
        #expect(fresh.allSatisfy { $0.withBytes { $0.allSatisfy { $0 == 0 } } })
    }

    @Test func `come from the generator that is handed in, and an error while filling passes through`() {
        struct Failure: Error {}
        var (first, second) = (SeededGenerator(seed: 1), SeededGenerator(seed: 1))
        let secret = SecretBytes.random(37, using: &first)
        #expect(secret.isEqual(to: SecretBytes.random(37, using: &second)))
        #expect(!secret.isEqual(to: SecretBytes.random(37, using: &second)))
        #expect(throws: Failure.self) { _ = try SecretBytes(count: 3) { _ in throw Failure() } }
    }
}
