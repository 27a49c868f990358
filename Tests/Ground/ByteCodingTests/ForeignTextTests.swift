import ByteCoding
import Testing

@Suite struct `Foreign text` {
    @Test func `letters of every script stay as they are`() {
        for text in ["fra-1.example", "Grüße, 東京", "a b\u{a0}c", "\\u{1b}"] { #expect(text.printable == text) }
    }

    @Test func `nothing that moves a cursor or turns the direction gets through`() {
        let hostile = "a\u{1b}[2Jb\u{9b}c\u{202e}d\u{200b}e\u{2028}f\u{2029}g\r\nh\u{7f}\u{feff}"
        let said = #"a\u{1b}[2Jb\u{9b}c\u{202e}d\u{200b}e\u{2028}f\u{2029}g\u{d}\u{a}h\u{7f}\u{feff}"#
        #expect(hostile.printable == said)
    }
}
