import Crypt15
import Primitives
import TestSupport

/// Bytes that are bent, cut in pieces, packed and sealed.
enum Bytes {
    private static let bendingsMax: UInt64 = 4
    /// Numbers at which readers go wrong, as varints and little-endian.
    private static let numbers: [[UInt8]] = [
        [0], [0x7f], [0xff], [0x80, 0x80, 0x04], [0x81, 0x80, 0x04], [0xff, 0xff, 0xff, 0xff, 0x0f],
        [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01], [0xff, 0xff, 0xff, 0x7f], [0, 0, 0, 0x80],
        [0xff, 0xff, 0xff, 0xff], [0x1a, 0x12, 0x0a, 0x10], [0x0a, 0x10], [0x1b], [0x1c], [0x50, 0x4b, 5, 6],
        [0x78, 0xda],
    ]

    static func one<Element>(of list: [Element], _ generator: inout SeededGenerator) -> Element {
        list[Int(generator.next() % UInt64(list.count))]
    }

    /// Bent in one to four ways; once in 32 not at all.
    static func bent(_ bytes: [UInt8], with others: [[UInt8]], _ generator: inout SeededGenerator) -> [UInt8] {
        guard generator.next() % 32 != 0 else { return bytes }
        var bytes = bytes
        for _ in 0...(generator.next() % bendingsMax) { bendOnce(&bytes, others, &generator) }
        return bytes
    }

    private static func bendOnce(_ bytes: inout [UInt8], _ others: [[UInt8]], _ generator: inout SeededGenerator) {
        // Half of the places lie in the first bytes, where most of the structure is, or in the last.
        let near = min(bytes.count, 48)
        let place: Int =
            switch generator.next() % 4 {
            case 0: Int(generator.next() % UInt64(near + 1))
            case 1: bytes.count - Int(generator.next() % UInt64(near + 1))
            default: Int(generator.next() % UInt64(bytes.count + 1))
            }
        let end = min(bytes.count, place + Int(generator.next() % 40))
        switch generator.next() % 9 {
        case 0, 1: if place < bytes.count { bytes[place] ^= 1 << (generator.next() % 8) }
        case 2: if place < bytes.count { bytes[place] = UInt8(truncatingIfNeeded: generator.next()) }
        case 3: bytes.removeSubrange(place..<end)
        case 4: bytes.insert(contentsOf: bytes[place..<end], at: place)
        case 5: bytes.insert(contentsOf: one(of: numbers, &generator), at: place)
        case 6:
            let number = one(of: numbers, &generator)
            bytes.replaceSubrange(place..<min(bytes.count, place + number.count), with: number)
        case 7: bytes.removeSubrange(place...)
        default:
            let other = one(of: others, &generator)
            let from = Int(generator.next() % UInt64(other.count + 1))
            bytes.replaceSubrange(place..<bytes.count, with: other[from...])
        }
    }

    static func pieces(_ generator: inout SeededGenerator) -> [Int] {
        (0..<3).map { _ in 1 + Int(generator.next() % 100) }
    }

    static func feed(_ bytes: [UInt8], _ pieces: [Int], _ consume: (UnsafeRawBufferPointer) -> Void) {
        bytes.withUnsafeBytes { bytes in
            var rest = bytes
            var turn = 0
            while rest.count > 0 {
                let part = rest.prefix(pieces[turn % pieces.count])
                turn += 1
                consume(UnsafeRawBufferPointer(rebasing: part))
                rest = UnsafeRawBufferPointer(rebasing: rest[part.count...])
            }
        }
    }

    static func digest(_ bytes: [UInt8]) -> [UInt8] { sha256(bytes) }

    static func deflated(_ bytes: [UInt8], level: Int) -> [UInt8] {
        let deflate = Deflate(level: level)
        var stream: [UInt8] = []
        bytes.withUnsafeBytes { bytes in deflate.deflate(bytes) { stream += $0 } }
        deflate.finish { stream += $0 }
        return stream
    }

    /// A file with right tag and trailer around any payload.
    static func sealed(_ payload: [UInt8], _ key: RootKey, _ header: BackupHeader) throws -> [UInt8] {
        let cipher = try AES256GCMStream(key: key.backupKey(), nonce: header.nonce, .encrypt)
        var file = header.bytes + cipher.update(payload)
        guard let tag = cipher.tag() else { throw Breach(what: "no tag") }
        file += tag
        var md5 = MD5()
        md5.update(file)
        return file + md5.digest()
    }
}
