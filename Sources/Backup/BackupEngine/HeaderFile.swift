import BackupFormat
import ByteCoding
import Foundation

/// `coffer.json` as text (spec: backup format, section 10).
struct HeaderFile: Codable {
    static let format = "coffer-backup"

    var format: String
    var version: Int
    var store: String
    var fleet: String?
    var tag: String

    private enum CodingKeys: String, CodingKey {
        case format, version, store, fleet, tag
    }

    init(_ header: StoreHeader, key: BackupKey) throws(ByteCodingError) {
        format = Self.format
        version = Int(formatVersion)
        store = header.store.hex
        fleet = header.fleet
        tag = Hex.encode(try header.tag(under: key))
    }

    /// `null` is written out, so that the members are always the same.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(format, forKey: .format)
        try container.encode(version, forKey: .version)
        try container.encode(store, forKey: .store)
        try container.encode(fleet, forKey: .fleet)
        try container.encode(tag, forKey: .tag)
    }

    func text() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(self)) + Array("\n".utf8)
    }

    /// Reads the text; the tag is checked when the key is known.
    static func parse(_ text: [UInt8]) throws(OpenError) -> (header: StoreHeader, tag: [UInt8]) {
        struct Version: Codable {
            var format: String
            var version: Int
        }
        let decoder = JSONDecoder()
        guard let version = try? decoder.decode(Version.self, from: Data(text)), version.format == format
        else { throw .damagedHeader }
        guard version.version == Int(formatVersion) else { throw .newerFormat(version.version) }
        guard let file = try? decoder.decode(HeaderFile.self, from: Data(text)),
            let store = try? StoreID(hex: file.store), let tag = try? Hex.decode(file.tag), tag.count == 32
        else { throw .damagedHeader }
        return (StoreHeader(store: store, fleet: file.fleet), tag)
    }
}
