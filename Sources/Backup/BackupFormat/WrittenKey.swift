import ByteCoding
import Primitives

/// The groups of digits in which people write the key down: 16 of the key and 2 that check them (section 2).
///
/// A Reed–Solomon code (Reed and Solomon 1960) over GF(2^16): with g_1 … g_18 the groups, their sum is 0, and so is the
/// sum of g_i·x^i. A sum that is not tells that something is wrong; both together tell where, if it is one group, or
/// two that changed places. Nothing here branches on a digit of the key or looks up a table by one, only on sums
/// that are 0 for every key.
struct WrittenKey: Sendable {
    static let keyGroupCount = 16
    static let groupCount = 18
    static let digitsPerGroup = 4

    /// x^16 + x^12 + x^3 + x + 1, without its first term.
    private static let polynomial: UInt16 = 0x100b
    /// 1 / (x^17 + x^18)
    private static let lastGroupFactor: UInt16 = 0x40f0

    /// All groups, two bytes each.
    private let bytes: SecretBytes

    init(_ key: SecretBytes) {
        bytes = SecretBytes(count: 2 * Self.groupCount) { bytes in
            bytes.initializeMemory(as: UInt8.self, repeating: 0)
            key.withBytes { bytes.copyBytes(from: $0.prefix(2 * Self.keyGroupCount)) }
            let (sum, weighted) = Self.sums(UnsafeRawBufferPointer(bytes))
            let last = Self.times(weighted ^ Self.timesX(sum, 17), Self.lastGroupFactor)
            bytes.storeBytes(of: (sum ^ last).bigEndian, toByteOffset: 32, as: UInt16.self)
            bytes.storeBytes(of: last.bigEndian, toByteOffset: 34, as: UInt16.self)
        }
    }

    /// Reads digits: either case; spaces, tabs, line ends and hyphens anywhere.
    init(text: UnsafeRawBufferPointer) throws(BackupKeyError) {
        var read = [UInt8](repeating: 0, count: 2 * Self.groupCount)
        defer { read.wipe() }
        var digits = 0
        for character in text where !Self.isSeparator(character) {
            guard let value = Hex.value(character) else {
                throw .character(group: digits / Self.digitsPerGroup + 1, position: digits % Self.digitsPerGroup + 1)
            }
            if digits / 2 < read.count { read[digits / 2] |= digits.isMultiple(of: 2) ? value << 4 : value }
            digits += 1
        }
        bytes = SecretBytes(copying: read)
        switch digits {
        case Self.keyGroupCount * Self.digitsPerGroup: return
        case Self.groupCount * Self.digitsPerGroup: try requireSound()
        case (Self.groupCount - 1) * Self.digitsPerGroup:
            guard let place = leftOut() else { throw .length(digits: digits) }
            throw .leftOut(group: place)
        default: throw .length(digits: digits)
        }
    }

    /// The key that the first 16 groups are.
    func key() -> SecretBytes {
        bytes.withBytes { SecretBytes(copying: $0.prefix(2 * Self.keyGroupCount)) }
    }

    /// All 18 in digits. For the one place where a person is shown the key.
    func reveal() -> [String] {
        bytes.withBytes { bytes in
            stride(from: 0, to: bytes.count, by: 2).map { Hex.encode(bytes[$0..<$0 + 2]) }
        }
    }

    // MARK: What is wrong

    private func requireSound() throws(BackupKeyError) {
        let (sum, weighted) = bytes.withBytes(Self.sums)
        guard sum | weighted != 0 else { return }
        if sum == 0, let first = swapped(weighted) { throw .swapped(firstGroup: first) }
        guard let group = located(sum, weighted) else { throw .severalGroups }
        // The right group is what stands there plus the sum: so the sum's digits are those that are wrong.
        let positions = (1...Self.digitsPerGroup).filter { sum >> (4 * (Self.digitsPerGroup - $0)) & 0xf != 0 }
        throw .mistyped(group: group, positions: positions)
    }

    /// The one group that explains both sums if it alone is wrong.
    private func located(_ sum: UInt16, _ weighted: UInt16) -> Int? {
        guard sum != 0 else { return nil }
        return (1...Self.groupCount).first { Self.timesX(sum, $0) == weighted }
    }

    /// The first of two neighbouring groups that explain the sums if they changed places; nil if several pairs do.
    private func swapped(_ weighted: UInt16) -> Int? {
        let pairs = (1..<Self.groupCount).filter { first in
            let difference = Self.timesX(group(first) ^ group(first + 1), first)
            return difference ^ Self.timesX(difference) == weighted
        }
        return pairs.count == 1 ? pairs[0] : nil
    }

    /// Of 17 groups, the place where the 18th belongs; nil if there is none, or several.
    private func leftOut() -> Int? {
        let places = (1...Self.groupCount).filter { place in
            var sum: UInt16 = 0
            var weighted: UInt16 = 0
            for number in stride(from: Self.groupCount, through: 1, by: -1) {
                let value = number == place ? 0 : group(number < place ? number : number - 1)
                sum ^= value
                weighted = Self.timesX(weighted ^ value)
            }
            return Self.timesX(sum, place) == weighted
        }
        return places.count == 1 ? places[0] : nil
    }

    // MARK: Arithmetic

    /// Counted from 1.
    private func group(_ number: Int) -> UInt16 { bytes.withBytes { Self.group(number, $0) } }

    private static func group(_ number: Int, _ bytes: UnsafeRawBufferPointer) -> UInt16 {
        UInt16(bytes[2 * number - 2]) << 8 | UInt16(bytes[2 * number - 1])
    }

    /// Σ g_i and Σ g_i·x^i.
    private static func sums(_ bytes: UnsafeRawBufferPointer) -> (sum: UInt16, weighted: UInt16) {
        var sum: UInt16 = 0
        var weighted: UInt16 = 0
        for number in stride(from: groupCount, through: 1, by: -1) {
            sum ^= group(number, bytes)
            weighted = timesX(weighted ^ group(number, bytes))
        }
        return (sum, weighted)
    }

    private static func timesX(_ value: UInt16) -> UInt16 {
        value << 1 ^ (0 &- (value >> 15)) & polynomial
    }

    private static func timesX(_ value: UInt16, _ power: Int) -> UInt16 {
        (0..<power).reduce(value) { product, _ in timesX(product) }
    }

    private static func times(_ left: UInt16, _ right: UInt16) -> UInt16 {
        var (product, left) = (UInt16(0), left)
        for bit in 0..<16 {
            product ^= (0 &- (right >> bit & 1)) & left
            left = timesX(left)
        }
        return product
    }

    private static func isSeparator(_ character: UInt8) -> Bool {
        switch character {
        case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "-"): true
        default: false
        }
    }
}
