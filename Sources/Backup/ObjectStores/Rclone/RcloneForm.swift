import ByteCoding
import Primitives

/// An upload as rclone takes it: a form (RFC 7578) of one file. What stands before and behind the file's bytes is known beforehand, so
/// the form's length is; without its end rclone would keep what came as if it were all.
struct RcloneForm: Sendable {
    /// Where the file goes; may be empty.
    let folder: String
    let fileName: String
    private let boundary: String

    init(path: String) {
        let parts = path.split(separator: "/")
        folder = parts.dropLast().joined(separator: "/")
        fileName = String(parts.last ?? "")
        var generator = SystemRandomNumberGenerator()
        boundary = Hex.encode(generator.bytes(24))
    }

    var path: String { folder.isEmpty ? fileName : "\(folder)/\(fileName)" }

    var contentType: String { "multipart/form-data; boundary=\(boundary)" }

    var head: [UInt8] {
        Array(
            """
            --\(boundary)\r
            Content-Disposition: form-data; name="file"; filename="\(fileName)"\r
            Content-Type: application/octet-stream\r
            \r

            """.utf8)
    }

    var tail: [UInt8] { Array("\r\n--\(boundary)--\r\n".utf8) }
}
