import ByteCoding
import Testing

@Suite struct `base64url` {
    /// RFC 4648 section 10, without the padding, and the two digits in which base64url differs.
    @Test(arguments: [
        ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"),
        ("foobar", "Zm9vYmFy"), ("\u{3ff}\u{fb3f}?>", "z7_vrL8_Pg"),
    ])
    func `the RFC's vectors`(plain: String, text: String) {
        #expect(Base64URL.encode(Array(plain.utf8)) == text)
        #expect(Base64URL.decode(text) == Array(plain.utf8))
    }

    @Test func `every byte in every place comes back`() {
        for byte in UInt8.min...UInt8.max {
            for bytes in [[byte], [0, byte], [255, 0, byte], [byte, 255, byte, byte]] {
                #expect(Base64URL.decode(Base64URL.encode(bytes)) == bytes)
            }
        }
    }

    @Test(arguments: ["Zg==", "Zh", "Zm9", "Z", "Zm9vY", "Zm+v", "Zm/v", "Zm9v\n", " Zm9v", "Zm9ü", "Zg\u{301}"])
    func `any other encoding is refused`(text: String) {
        #expect(Base64URL.decode(text) == nil)
    }
}
