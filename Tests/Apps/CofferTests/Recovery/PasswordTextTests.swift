import Coffer
import Primitives
import Testing

@Suite struct `Password text` {
    private func bytes(_ text: String) throws -> [UInt8] {
        try PasswordText.bytes(text).withBytes { Array($0) }
    }

    @Test func `two ways to type a letter are one password`() throws {
        #expect(try bytes("caf\u{e9}") == bytes("cafe\u{301}"))
        #expect(try bytes("\u{212b}") == [0xc3, 0x85])
        // Compatibility forms stay different: a ligature is not two letters.
        #expect(try bytes("\u{fb01}") != bytes("fi"))
        #expect(try bytes(" a ") == [0x20, 0x61, 0x20])
    }

    @Test func `empty, unassigned and endless passwords are refused`() {
        #expect(throws: PasswordText.Refusal.empty) { try bytes("") }
        #expect(throws: PasswordText.Refusal.unassigned) { try bytes("a\u{0378}") }
        #expect(throws: PasswordText.Refusal.unassigned) { try bytes("a\u{ffff}") }
        #expect(throws: PasswordText.Refusal.tooLong) { try bytes(String(repeating: "é", count: 513)) }
    }
}
