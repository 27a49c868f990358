import Foundation

// What Drive answers, as far as it is asked for (Drive API v3).

/// What Drive says of a file.
package struct DriveFile: Codable, Equatable, Sendable {
    /// To be asked for wherever a file is the answer.
    static let fields = "id,name,mimeType,size,sha256Checksum,md5Checksum,createdTime,trashed"
    static let folderType = "application/vnd.google-apps.folder"

    package var id: String
    var name: String?
    var mimeType: String?
    /// A number in digits.
    var size: String?
    var sha256Checksum: String?
    var md5Checksum: String?
    /// RFC 3339 in UTC with milliseconds: earlier ones come first in the order of texts.
    var createdTime: String?
    var trashed: Bool?

    var byteCount: Int? { size.flatMap { Int($0) }.flatMap { $0 >= 0 ? $0 : nil } }

    /// Who came first is the object, on every device.
    static func isEarlier(_ left: DriveFile, _ right: DriveFile) -> Bool {
        (left.createdTime ?? "~", left.id) < (right.createdTime ?? "~", right.id)
    }
}

struct DriveFileList: Decodable {
    static let fields = "nextPageToken,incompleteSearch,files(\(DriveFile.fields))"

    var nextPageToken: String?
    var incompleteSearch: Bool?
    var files: [DriveFile]
}

struct DriveIDs: Decodable {
    var ids: [String]
}

/// Room, and whose it is.
package struct DriveAbout: Decodable, Sendable {
    static let fields = "user(emailAddress),storageQuota(limit,usage)"

    struct User: Decodable {
        var emailAddress: String?
    }
    struct Quota: Decodable {
        /// None where there is no limit.
        var limit: String?
        var usage: String?
    }

    var user: User?
    var storageQuota: Quota?

    package var emailAddress: String? { user?.emailAddress }

    package var freeBytes: UInt64? {
        guard let limit = storageQuota?.limit.flatMap({ UInt64($0) }),
            let usage = storageQuota?.usage.flatMap({ UInt64($0) })
        else { return nil }
        return limit - min(limit, usage)
    }
}

/// What is said of a file that is to be made.
struct DriveNewFile: Encodable {
    var id: String
    var name: String
    var mimeType: String
    var parents: [String]?
}

enum DriveJSON {
    static func read<Value: Decodable>(_ answer: StoreAnswer) throws(StoreFailure) -> Value {
        do { return try JSONDecoder().decode(Value.self, from: Data(answer.body)) } catch {
            throw StoreFailure(.permanent, "its answer is not of the form that Drive's have")
        }
    }

    static func text(_ value: some Encodable) throws(StoreFailure) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do { return Array(try encoder.encode(value)) } catch { throw StoreFailure(.permanent, "no JSON: \(error)") }
    }
}

/// Drive's search language.
enum DriveQuery {
    /// A text between apostrophes: `\` first, then `'`.
    static func quoted(_ text: String) -> String {
        "'" + text.replacing("\\", with: "\\\\").replacing("'", with: "\\'") + "'"
    }

    static func files(named name: String, in folder: String) -> String {
        "name = \(quoted(name)) and \(files(in: folder))"
    }

    static func files(in folder: String) -> String { "\(quoted(folder)) in parents and trashed = false" }

    static func filesAndTrash(named name: String, in folder: String) -> String {
        "name = \(quoted(name)) and \(quoted(folder)) in parents"
    }

    static func folders(named name: String) -> String {
        "name = \(quoted(name)) and mimeType = \(quoted(DriveFile.folderType))"
    }
}
