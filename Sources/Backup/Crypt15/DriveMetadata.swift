package import Primitives

/// What WhatsApp's cloud keeps beside each media file, encrypted (`.mcrypt1-metadata`; Specs/crypt15.md, section 4): JSON with
/// the file's path.
package enum DriveMetadata {
    package static let textBytesMax = 1 << 20
    private static let macBytes = 32
    private static let nonceBytes = 16

    package enum Refusal: Error, Equatable, Sendable {
        /// Not base64, or not in the layout of such metadata.
        case notMetadata
        /// Another key, or altered.
        case damagedOrWrongKey
        case missingLibrary(MissingLibrary)
    }

    /// The JSON in the clear, once its MAC is verified.
    /// - Parameter text: base64 (RFC 4648 section 4), with or without padding and line ends.
    package static func open(_ text: [UInt8], key: RootKey) throws(Refusal) -> [UInt8] {
        guard text.count <= textBytesMax, let bytes = decodeBase64(text) else { throw .notMetadata }
        // 10 ‖ nonce ‖ 20 ‖ MAC ‖ ciphertext: each with its length before it.
        let ciphertextPlace = 1 + nonceBytes + 1 + macBytes
        guard bytes.count > ciphertextPlace, bytes[0] == UInt8(nonceBytes), bytes[1 + nonceBytes] == UInt8(macBytes),
            (bytes.count - ciphertextPlace).isMultiple(of: 16)
        else { throw .notMetadata }
        let nonce = Array(bytes[1..<1 + nonceBytes])
        let mac = Array(bytes[2 + nonceBytes..<ciphertextPlace])
        let ciphertext = Array(bytes[ciphertextPlace...])
        guard constantTimeEquals(hmacSHA256(nonce + ciphertext, key: key.metadataMACKey()), mac)
        else { throw .damagedOrWrongKey }
        do {
            guard let json = try openAES256CBC(ciphertext, key: key.metadataKey(), nonce: nonce)
            else { throw Refusal.damagedOrWrongKey }
            return json
        } catch let error as MissingLibrary {
            throw .missingLibrary(error)
        } catch {
            throw .damagedOrWrongKey
        }
    }

    private static func decodeBase64(_ text: [UInt8]) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count * 3 / 4)
        var bits: UInt32 = 0
        var bitCount: UInt32 = 0
        var padding = 0
        for digit in text where !(0x09...0x0d).contains(digit) && digit != 0x20 {
            if digit == UInt8(ascii: "=") {
                padding += 1
                continue
            }
            guard padding == 0, let value = value(digit) else { return nil }
            bits = (bits & 0xff) << 6 | UInt32(value)
            bitCount += 6
            if bitCount >= 8 {
                bitCount -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> bitCount))
            }
        }
        return bitCount < 6 && padding <= 2 ? bytes : nil
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): digit - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): digit - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
