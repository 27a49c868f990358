import ByteCoding
package import Primitives

/// The root key K of one account's WhatsApp backups (Specs/crypt15.md, section 1): 32 bytes, written as 64 digits.
package struct RootKey: Sendable {
    package static let byteCount = 32

    /// What the key came as.
    package enum Form: String, Sendable {
        case digits
        case keyFile
        case raw
    }

    package let secret: SecretBytes

    package init?(secret: SecretBytes) {
        guard secret.count == Self.byteCount else { return nil }
        self.secret = secret
    }

    /// Reads 64 digits in any case and spacing, the 59-byte file `encrypted_backup.key`, or 32 bytes as they are.
    ///
    /// The errors name places as a person counts them, and never a digit.
    package static func read(_ input: SecretBytes) throws(RootKeyError) -> (key: RootKey, form: Form) {
        try input.withBytes { bytes throws(RootKeyError) in
            guard bytes.count > 0 else { throw .empty }
            if let payload = try KeyFile.payload(of: bytes) {
                return (RootKey(bytes: payload), .keyFile)
            }
            let isText = bytes.allSatisfy { $0 < 0x80 && ($0 >= 0x20 || (0x09...0x0d).contains($0)) }
            if bytes.count == byteCount, !isText { return (RootKey(bytes: bytes), .raw) }
            var reader = DigitReader(bytes)
            return (try reader.key(), .digits)
        }
    }

    /// From the values of the 64 digits; nil if there are not as many.
    init?(digits: some RandomAccessCollection<UInt8>) {
        guard digits.count == 2 * Self.byteCount else { return nil }
        secret = SecretBytes(count: Self.byteCount) { bytes in
            for (index, digit) in digits.enumerated() {
                bytes[index / 2] = index.isMultiple(of: 2) ? digit << 4 : bytes[index / 2] | digit
            }
        }
    }

    init(bytes: UnsafeRawBufferPointer) {
        secret = SecretBytes(count: Self.byteCount) { $0.copyMemory(from: bytes) }
    }

    /// The 16 groups of 4 digits. For the one place where a person is shown the key.
    package func revealGroups() -> [String] {
        secret.withBytes { bytes in
            stride(from: 0, to: bytes.count, by: 2).map { Hex.encode(bytes[$0..<$0 + 2]) }
        }
    }

    /// The key as WhatsApp keeps it on a phone (`encrypted_backup.key`, 59 bytes).
    package func keyFile() -> SecretBytes {
        SecretBytes(count: KeyFile.byteCount) { file in
            file.copyBytes(from: KeyFile.head)
            secret.withBytes {
                UnsafeMutableRawBufferPointer(rebasing: file[KeyFile.head.count...]).copyMemory(from: $0)
            }
        }
    }
}

/// Why something is not a key. Groups are counted from 1 to 16, positions from 1 to 4.
package enum RootKeyError: Error, Equatable {
    case empty
    /// Neither a digit 0–9 nor a letter a–f.
    case character(group: Int, position: Int)
    /// Not 64 digits.
    case length(digits: Int)
    /// Not text, and neither 32 nor 59 bytes.
    case neitherTextNorKey(bytes: Int)
    /// The file `key` of crypt12 to crypt14: another key, of other files.
    case olderKeyFile
    /// A file that Java wrote, and not `encrypted_backup.key`: its length.
    case otherJavaFile(bytes: Int)
    /// WhatsApp's check of the password on the phone, from which the key cannot be computed.
    case passwordCheck
}

/// The 59 bytes in which WhatsApp keeps K: a Java object stream of one byte array.
enum KeyFile {
    static let byteCount = 59
    static let magic: [UInt8] = [0xac, 0xed, 0x00, 0x05]
    /// Magic and version; array of bytes with its serialVersionUID; 32 elements.
    static let head: [UInt8] = arrayHead + [0, 0, 0, 0x20]
    private static let arrayHead: [UInt8] =
        magic + [
            0x75, 0x72, 0x00, 0x02, 0x5b, 0x42, 0xac, 0xf3, 0x17, 0xf8, 0x06, 0x08, 0x54, 0xe0, 0x02, 0x00, 0x00, 0x78,
            0x70,
        ]
    private static let olderByteCount = 158

    /// The 32 bytes; nil if it is no Java object stream at all.
    static func payload(of bytes: UnsafeRawBufferPointer) throws(RootKeyError) -> UnsafeRawBufferPointer? {
        guard bytes.starts(with: magic) else { return nil }
        guard bytes.count == byteCount, bytes.starts(with: head) else {
            if bytes.count == olderByteCount, bytes.starts(with: arrayHead + [0, 0, 0, 0x83]) { throw .olderKeyFile }
            // A stream of several values: int 1, two arrays of 64 bytes, int 100,000.
            if bytes.count > 128, bytes[4] == 0x77 { throw .passwordCheck }
            throw .otherJavaFile(bytes: bytes.count)
        }
        return UnsafeRawBufferPointer(rebasing: bytes[head.count...])
    }
}

/// Digits as people paste them: in any case, with spaces, line ends, dashes (also those that word processors make) and colons.
struct DigitReader {
    private var values: [UInt8] = []
    private let text: UnsafeRawBufferPointer
    private let digitsMax: Int

    /// - Parameter digitsMax: more are counted, and refused.
    init(_ text: UnsafeRawBufferPointer, digitsMax: Int = 2 * RootKey.byteCount) {
        self.text = text
        self.digitsMax = digitsMax
        values.reserveCapacity(digitsMax)
    }

    /// The digits, one byte for each, however many they are.
    mutating func typed() throws(RootKeyError) -> SecretBytes {
        defer { values.wipe() }
        try readDigits()
        return SecretBytes(copying: values)
    }

    mutating func key() throws(RootKeyError) -> RootKey {
        defer { values.wipe() }
        try readDigits()
        guard let key = RootKey(digits: values) else { throw .length(digits: values.count) }
        return key
    }

    private mutating func readDigits() throws(RootKeyError) {
        var place = 0
        var digits = 0
        while place < text.count {
            if let value = Hex.value(text[place]) {
                // The array keeps its place in memory.
                if values.count < digitsMax { values.append(value) }
                digits += 1
                place += 1
            } else {
                let skipped = separatorBytes(at: place)
                guard skipped > 0 else { throw refusal(digits) }
                place += skipped
            }
        }
        guard digits <= digitsMax else { throw .length(digits: digits) }
    }

    private func refusal(_ digits: Int) -> RootKeyError {
        let control = text.contains { $0 < 0x09 || (0x0e..<0x20).contains($0) }
        guard !control, text.count <= 4_096 else { return .neitherTextNorKey(bytes: text.count) }
        return .character(group: digits / 4 + 1, position: digits % 4 + 1)
    }

    /// How many bytes of something between digits begin here.
    private func separatorBytes(at place: Int) -> Int {
        switch text[place] {
        case 0x20, 0x09...0x0d, UInt8(ascii: "-"), UInt8(ascii: ":"): return 1
        default: break
        }
        // No-break spaces, hyphen to em dash, minus, zero-width space, byte order mark.
        let others: [[UInt8]] = [
            [0xc2, 0xa0], [0xe2, 0x80, 0xaf],
            [0xe2, 0x80, 0x90], [0xe2, 0x80, 0x91], [0xe2, 0x80, 0x92], [0xe2, 0x80, 0x93], [0xe2, 0x80, 0x94],
            [0xe2, 0x88, 0x92], [0xe2, 0x80, 0x8b], [0xef, 0xbb, 0xbf],
        ]
        return others.first { text[place...].starts(with: $0) }?.count ?? 0
    }
}
