import ByteCoding
import Crypt15
import Foundation

/// What `.mcrypt1-metadata` says of a file, once its MAC is verified. Whoever has K wrote it; a cloud may have put it beside another
/// file than it belongs to.
struct MediaClaims {
    private struct Fields: Decodable {
        let name: String?
        let md5Hash: String?
        let updateTime: String?

        private enum Keys: String, CodingKey { case name, md5Hash, updateTime }

        /// What is no text counts as not there.
        init(from decoder: any Decoder) throws {
            let fields = try decoder.container(keyedBy: Keys.self)
            name = try? fields.decode(String.self, forKey: .name)
            md5Hash = try? fields.decode(String.self, forKey: .md5Hash)
            updateTime = try? fields.decode(String.self, forKey: .updateTime)
        }
    }

    /// The path's names; nil if they do not stay below a folder.
    let path: [[UInt8]]?
    /// As it was written.
    let pathText: String?
    private let md5Text: String?
    let modifiedSeconds: Int64?

    /// nil if it is not such JSON.
    init?(json: [UInt8]) {
        guard let fields = try? JSONDecoder().decode(Fields.self, from: Data(json)) else { return nil }
        pathText = fields.name
        path = fields.name.flatMap(Self.confined)
        md5Text = fields.md5Hash
        modifiedSeconds = fields.updateTime.flatMap(Self.seconds)
    }

    /// Whether the claims are about another content; nil where they do not say.
    func isAbout(contentMD5: [UInt8]) -> Bool? {
        guard let md5Text, !md5Text.isEmpty else { return nil }
        return md5Text.lowercased() == Hex.encode(contentMD5) || md5Text == Data(contentMD5).base64EncodedString()
    }

    /// The name under which the file was sealed, if the claims say what its content is.
    func mediaName(key: RootKey) -> MediaName? {
        guard let pathText, let md5Text else { return nil }
        let bytes = (try? Hex.decode(md5Text)) ?? Data(base64Encoded: md5Text).map { Array($0) } ?? []
        return bytes.count == 16 ? MediaName(path: pathText, contentMD5: bytes, key: key) : nil
    }

    /// The names of a path that leads down and nowhere else: not absolute, without `.`, `..`, empty names and zero bytes.
    static func confined(_ path: String) -> [[UInt8]]? {
        let names = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).map { Array($0) }
        let areNames = names.allSatisfy { name in
            !name.isEmpty && !name.contains(0) && name != Array(".".utf8) && name != Array("..".utf8)
        }
        return areNames && !path.isEmpty && names.count <= 32 ? names : nil
    }

    /// A time as in RFC 3339.
    private static func seconds(_ text: String) -> Int64? {
        guard let date = try? Date(text, strategy: .iso8601), abs(date.timeIntervalSince1970) < 1e11 else { return nil }
        return Int64(date.timeIntervalSince1970)
    }
}

/// The ending of a file whose name is not known, by its first bytes; empty if these say nothing.
func mediaEnding(ofContent head: [UInt8]) -> String {
    func has(_ text: String, at place: Int = 0) -> Bool { head.dropFirst(place).starts(with: text.utf8) }
    if head.starts(with: [0xff, 0xd8, 0xff]) { return ".jpg" }
    if head.starts(with: [0x89]), has("PNG", at: 1) { return ".png" }
    if has("GIF8") { return ".gif" }
    if has("RIFF") { return has("WEBP", at: 8) ? ".webp" : has("WAVE", at: 8) ? ".wav" : "" }
    if has("ftyp", at: 4) { return has("M4A", at: 8) ? ".m4a" : ".mp4" }
    if has("OggS") { return ".opus" }
    if has("%PDF") { return ".pdf" }
    return has("ID3") ? ".mp3" : ""
}
