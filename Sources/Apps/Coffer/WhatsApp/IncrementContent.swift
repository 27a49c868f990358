import BackupSources
import Crypt15
import Foundation

extension WhatsAppReport.Increment {
    private struct Head: Decodable {
        struct Added: Decodable {
            let messagesCountOnBackup: Int?
            let messagesUpdated: Int?
            let messagesDeleted: Int?
        }
        let addedMessages: Added?
    }

    private static let headBytesMax = 1 << 20

    /// What an increment says of itself; nil if the ZIP archive is none.
    init?(_ file: PendingFile, byteCount: UInt64) {
        let read = { (place: UInt64, count: Int) in file.bytes(at: place, count: count) }
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        guard let archive = try? ZipDirectory(byteCount: byteCount, read: read),
            let json = try? archive.content(of: "header.json", bytesMax: Self.headBytesMax, read: read),
            let head = try? decoder.decode(Head.self, from: Data(json))
        else { return nil }
        messages = head.addedMessages?.messagesCountOnBackup
        messagesUpdated = head.addedMessages?.messagesUpdated
        messagesDeleted = head.addedMessages?.messagesDeleted
        members = archive.members.map(\.name).sorted()
    }
}
