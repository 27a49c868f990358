import Foundation

/// What rclone says of a file.
struct RcloneItem: Decodable {
    /// From the place on.
    let path: String
    /// Below zero if the remote does not say.
    let size: Int
    /// RFC 3339, or empty.
    let modified: String?

    enum CodingKeys: String, CodingKey {
        case path = "Path"
        case size = "Size"
        case modified = "ModTime"
    }

    /// Since 1970.
    var modifiedSeconds: UInt64? {
        guard let text = modified, text.utf8.count >= 20 else { return nil }
        let time = text.prefix(19)
        let zone = text.dropFirst(19).drop { $0 == "." || $0.isNumber }
        guard let date = try? Date("\(time)\(zone)", strategy: .iso8601) else { return nil }
        return UInt64(exactly: date.timeIntervalSince1970)
    }
}
