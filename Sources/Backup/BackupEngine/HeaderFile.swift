import BackupFormat
import ByteCoding
import Foundation

/// `coffer.json` as text (spec: backup format, section 10).
struct HeaderFile: Codable {
    static let format = "coffer-backup"
    private static let tagBytes = 32

    var format: String
    var version: Int
    var store: String
    var fleet: String?
    var tag: String

    private enum CodingKeys: String, CodingKey {
        case format, version, store, fleet, tag
    }

    /// - Parameter keys: those that the header is authentic to: one, or two while the second takes the place of the first.
    init(_ header: StoreHeader, keys: [BackupKey]) throws(ByteCodingError) {
        format = Self.format
        version = Int(formatVersion)
        store = header.store.hex
        fleet = header.fleet
        var tags: [UInt8] = []
        for key in keys { tags += try header.tag(under: key) }
        tag = Hex.encode(tags)
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

    /// Reads the text; the tags are checked when the key is known.
    static func parse(_ text: [UInt8]) throws(OpenError) -> (header: StoreHeader, tags: [[UInt8]]) {
        struct Version: Codable {
            var format: String
            var version: Int
        }
        let decoder = JSONDecoder()
        guard let version = try? decoder.decode(Version.self, from: Data(text)), version.format == format
        else { throw .damagedHeader }
        guard version.version == Int(formatVersion) else { throw .newerFormat(version.version) }
        guard let file = try? decoder.decode(HeaderFile.self, from: Data(text)),
            let store = try? StoreID(hex: file.store), let tags = try? Hex.decode(file.tag),
            [tagBytes, 2 * tagBytes].contains(tags.count)
        else { throw .damagedHeader }
        return (
            StoreHeader(store: store, fleet: file.fleet),
            stride(from: 0, to: tags.count, by: tagBytes).map { Array(tags[$0..<$0 + tagBytes]) }
        )
    }
}
