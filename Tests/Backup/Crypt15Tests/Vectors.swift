import ByteCoding
import Crypt15
import Foundation
import Primitives

/// Files of Specs/vectors/crypt15, and what they are.
enum Vectors {
    struct File: Decodable {
        let verdict: String?
        let verdictWrongKey: String?
        let problem: String?
        let content: String?
        let plainSha256: String?
        let path: String?
    }

    struct Keys: Decodable {
        let root: String
        let read: [String: String]
        let refused: [String: String]
    }

    private struct Made: Decodable {
        let wrongKey: String
        let files: [String: File]
        let keys: Keys
    }

    static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../../Specs/vectors/crypt15")

    static func bytes(_ name: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: folder.appending(path: name))) }

    /// Both lists: the given files and those that the reference program made.
    static func files() throws -> [(name: String, file: File)] {
        var given = try JSONSerialization.jsonObject(with: Data(bytes("manifest.json"))) as? [String: Any] ?? [:]
        given["_keys"] = nil
        let decoded = try decoder.decode(
            [String: File].self, from: JSONSerialization.data(withJSONObject: given))
        let all = decoded.filter { $0.value.verdict != nil }.merging(try made().files) { $1 }
        return all.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    private static func made() throws -> Made { try decoder.decode(Made.self, from: Data(bytes("made.json"))) }

    private static var decoder: JSONDecoder {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return decoder
    }

    static func keys() throws -> Keys { try made().keys }

    static func rootKey() throws -> RootKey {
        try RootKey.read(SecretBytes(copying: bytes("encrypted_backup.key"))).key
    }

    static func wrongKey() throws -> RootKey {
        try RootKey.read(SecretBytes(copying: Array(made().wrongKey.utf8))).key
    }
}

/// Reads a file in memory, fed in pieces of these sizes in turn.
func read(
    _ bytes: [UInt8], _ key: RootKey, pieces: [Int] = [.max], bytesMax: UInt64 = .max
) throws -> (reading: BackupReading, content: [UInt8]) {
    let reader = try BackupReader(key: key, contentBytesMax: bytesMax)
    var content: [UInt8] = []
    bytes.withUnsafeBytes { bytes in
        var rest = bytes
        var turn = 0
        while rest.count > 0 {
            let part = rest.prefix(max(1, min(rest.count, pieces[turn % pieces.count])))
            turn += 1
            reader.feed(UnsafeRawBufferPointer(rebasing: part)) { content += $0 }
            rest = UnsafeRawBufferPointer(rebasing: rest[part.count...])
        }
    }
    let reading = reader.finish { content += $0 }
    return (reading, content)
}

/// Writes a file in memory.
func seal(_ content: [UInt8], _ key: RootKey, like header: BackupHeader, level: Int, seed: UInt64 = 1) throws -> [UInt8]
{
    var generator = SeededNonces(seed: seed)
    let writer = try BackupWriter(key: key, like: header, level: level, using: &generator)
    var file = writer.head
    content.withUnsafeBytes { content in writer.feed(content) { file += $0 } }
    _ = writer.finish { file += $0 }
    return file
}

func header(of bytes: [UInt8]) -> BackupHeader? {
    guard case .header(let header) = BackupHeader.read(bytes) else { return nil }
    return header
}

private struct SeededNonces: RandomNumberGenerator {
    var seed: UInt64
    mutating func next() -> UInt64 {
        seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return seed
    }
}
