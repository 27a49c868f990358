package import ByteCoding
package import Primitives

/// Where a vault's newest head is remembered outside its store. Sealed in the store like any other record: it is chosen
/// when the vault is made, and whoever puts an old store back puts this back with it, unchanged.
package enum AnchorSettings: ByteCodable, Equatable, Sendable {
    /// A file: its path, as seen from the vault's folder.
    case file(String)
    case witnesses(WitnessSettings)
    /// The token that opens the vault's data key. Which one that is stands outside the store; no other opens the key.
    case token

    private static let pathBytes = 1...4096

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        switch try reader.uint8() {
        case 1: self = .file(try reader.text(Self.pathBytes))
        case 2: self = .witnesses(try WitnessSettings(from: &reader))
        case 3: self = .token
        default: throw .invalidValue
        }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        switch self {
        case .file(let path):
            writer.uint8(1)
            try writer.text(path, Self.pathBytes)
        case .witnesses(let settings):
            writer.uint8(2)
            try settings.encode(into: &writer)
        case .token: writer.uint8(3)
        }
    }
}

/// A process that remembers the newest head of vaults, somewhere else.
package struct Witness: ByteCodable, Hashable, Sendable {
    package let key: VerifyingKey
    package let url: String

    private static let urlBytes = 1...255

    package init(key: VerifyingKey, url: String) {
        self.key = key
        self.url = url
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        key = try VerifyingKey(from: &reader)
        url = try reader.text(Self.urlBytes)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try key.encode(into: &writer)
        try writer.text(url, Self.urlBytes)
    }
}

/// w witnesses, of which at most f are malicious or rolled back.
package struct WitnessSettings: ByteCodable, Equatable, Sendable {
    package let witnesses: [Witness]
    package let faultyMax: Int

    package static let countMax = 15
    private static let listBytes = 0...0xffff

    /// Nil unless there are 1 to 15 different witnesses and w ≥ 3f + 1: with fewer, f that are silent stop the vault.
    package init?(witnesses: [Witness], faultyMax: Int) {
        guard (1...Self.countMax).contains(witnesses.count), faultyMax >= 0, witnesses.count >= 3 * faultyMax + 1,
            Set(witnesses.map(\.key)).count == witnesses.count
        else { return nil }
        self.witnesses = witnesses
        self.faultyMax = faultyMax
    }

    /// q = ⌊(w+f)/2⌋ + 1: any two sets of q share more than f witnesses, so an honest one that remembers.
    package var quorum: Int { (witnesses.count + faultyMax) / 2 + 1 }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        let faultyMax = Int(try reader.uint8())
        let witnesses = try reader.list(of: Witness.self, Self.listBytes)
        guard let settings = WitnessSettings(witnesses: witnesses, faultyMax: faultyMax) else { throw .invalidValue }
        self = settings
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint8(UInt8(clamping: faultyMax))
        try writer.list(witnesses, Self.listBytes)
    }
}
