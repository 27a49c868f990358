import Primitives

/// What a ZIP archive lists (PKWARE's APPNOTE, sections 4.3 and 4.4), as far as increments need it: no encryption, no ZIP64.
package struct ZipDirectory: Sendable {
    package struct Member: Sendable, Equatable {
        package let name: String
        let method: UInt16
        let packedBytes: UInt32
        package let bytes: UInt32
        let place: UInt32
    }

    package enum Refusal: Error, Equatable {
        case notAnArchive
        case noSuchMember
        case tooLarge
    }

    private static let endBytes = 22
    private static let endBytesMax = endBytes + 65_535
    private static let directoryBytesMax = 4 << 20
    private static let localHeadBytes = 30

    package let members: [Member]

    /// - Parameters:
    ///   - byteCount: of the archive.
    ///   - read: gives bytes at a place, as many as there are.
    package init(byteCount: UInt64, read: (UInt64, Int) -> [UInt8]?) throws(Refusal) {
        let endPlace = byteCount - min(byteCount, UInt64(Self.endBytesMax))
        guard let tail = read(endPlace, Int(byteCount - endPlace)),
            let end = Self.lastEnd(tail),
            case let size = Self.number(tail, end + 12, 4), case let place = Self.number(tail, end + 16, 4),
            size <= Self.directoryBytesMax, let directory = read(UInt64(place), size), directory.count == size
        else { throw .notAnArchive }
        members = try Self.members(directory)
    }

    /// The bytes of a member, of which there may be so many.
    package func content(
        of name: String, bytesMax: Int, read: (UInt64, Int) -> [UInt8]?
    ) throws(Refusal) -> [UInt8] {
        guard let member = members.first(where: { $0.name == name }) else { throw .noSuchMember }
        guard member.bytes <= bytesMax, member.packedBytes <= bytesMax else { throw .tooLarge }
        guard let head = read(UInt64(member.place), Self.localHeadBytes), head.count == Self.localHeadBytes,
            head.starts(with: [0x50, 0x4b, 3, 4])
        else { throw .notAnArchive }
        let start =
            UInt64(member.place) + UInt64(Self.localHeadBytes + Self.number(head, 26, 2) + Self.number(head, 28, 2))
        guard let packed = read(start, Int(member.packedBytes)), packed.count == Int(member.packedBytes)
        else { throw .notAnArchive }
        switch member.method {
        case 0: return packed
        case 8: return try Self.inflate(packed, bytesMax: bytesMax)
        default: throw .notAnArchive
        }
    }

    private static func inflate(_ packed: [UInt8], bytesMax: Int) throws(Refusal) -> [UInt8] {
        guard let inflate = try? Inflate(.none) else { throw .notAnArchive }
        var content = [UInt8](repeating: 0, count: bytesMax)
        let written = content.withUnsafeMutableBytes { target in
            packed.withUnsafeBytes { inflate.inflate($0, into: target).written }
        }
        guard inflate.state == .ended else { throw inflate.state == .damaged ? .notAnArchive : .tooLarge }
        return Array(content.prefix(written))
    }

    private static func members(_ directory: [UInt8]) throws(Refusal) -> [Member] {
        var members: [Member] = []
        var place = 0
        while place < directory.count {
            guard directory.count - place >= 46, directory[place...].starts(with: [0x50, 0x4b, 1, 2])
            else { throw .notAnArchive }
            let nameBytes = number(directory, place + 28, 2)
            let end = place + 46 + nameBytes + number(directory, place + 30, 2) + number(directory, place + 32, 2)
            guard end <= directory.count else { throw .notAnArchive }
            members.append(
                Member(
                    name: String(decoding: directory[place + 46..<place + 46 + nameBytes], as: UTF8.self),
                    method: UInt16(number(directory, place + 10, 2)),
                    packedBytes: UInt32(number(directory, place + 20, 4)),
                    bytes: UInt32(number(directory, place + 24, 4)), place: UInt32(number(directory, place + 42, 4))))
            place = end
        }
        return members
    }

    /// Where the last end-of-directory record begins.
    private static func lastEnd(_ tail: [UInt8]) -> Int? {
        guard tail.count >= endBytes else { return nil }
        return stride(from: tail.count - endBytes, through: 0, by: -1).first {
            tail[$0] == 0x50 && tail[$0 + 1] == 0x4b && tail[$0 + 2] == 5 && tail[$0 + 3] == 6
        }
    }

    /// Little-endian; the caller has checked the bounds.
    private static func number(_ bytes: [UInt8], _ place: Int, _ count: Int) -> Int {
        (0..<count).reduce(0) { $0 | Int(bytes[place + $1]) << (8 * $1) }
    }
}
