package import BackupEngine
package import BackupFormat
import ByteCoding
import Foundation
import Primitives
import Synchronization

/// A store in anything that rclone reaches.
///
/// Where the remote moves files by itself, an object is uploaded under a temporary name, its size is looked at, and then it is moved
/// to its name, so that no half of one ever stands there; elsewhere (buckets) a remote shows an upload when it has all of it, and the
/// size is looked at afterwards. No remote refuses a name that is taken: `create` looks first (`Docs/Stores.md`).
package final class RcloneStore: PartialStore {
    /// A list of 100,000 objects takes 17 MB, and up to 95 MB in memory for a moment.
    static let listBytesMax = 64 << 20
    static let triesMax = 3
    private static let openingsMax = 9
    /// What `FolderStore` calls its own, too: one store may be reached both ways.
    static let temporaryPrefix = ".writing-"
    /// A new header that is complete, for as long as it is not sure that the one under its own name is.
    static let nextHeader = "\(ObjectName.header.path).next"

    let client: RcloneClient
    let names = NamesInUse()
    /// Once it is known.
    let moves = Mutex<Bool?>(nil)
    /// Whether anything was ever seen in the place: then it is there.
    let hasSeen = Mutex(false)

    package init(_ client: RcloneClient) { self.client = client }

    package var place: String { client.address.text }
    /// As many as rclone transfers at a time by itself; each takes 17 MB of its memory.
    package let uploadsAtOnce = 4

    package func create(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        let form = try await form(for: name)
        try await create(name, form, .bytes(form.head + bytes + form.tail), byteCount: bytes.count)
    }

    package func begin(_ name: ObjectName) async throws(ObjectStoreError) -> any ObjectUpload {
        try RcloneUpload(store: self, name: name, form: try await form(for: name))
    }

    package func read(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8] {
        let answer = try await opened(name, upTo: 0) { (path) async throws(StoreFailure) in
            try await client.download(path, answerBytesMax: name.bytesMax)
        }
        // One that breaks off would end as if it were complete.
        guard answer.header("content-length") != nil else { throw .failed("\(name.path): its length is not said") }
        return answer.body
    }

    package func part(
        _ range: Range<Int>, of name: ObjectName, into lent: LentMemory?, answerBytesMax: Int
    ) async throws(ObjectStoreError) -> StoreAnswer {
        let answer = try await opened(name, upTo: range.upperBound) { (path) async throws(StoreFailure) in
            try await client.download(path, range, answerBytesMax: answerBytesMax, lent: lent)
        }
        // What begins behind the end is answered with a part that ends before it begins (`bytes 10-5/6`).
        if let total = answer.header("content-range")?.split(separator: "/").last.flatMap({ Int($0) }),
            total < range.upperBound
        {
            throw .truncated(name.path)
        }
        return answer
    }

    package func size(of name: ObjectName) async throws(ObjectStoreError) -> Int {
        try await whole(name, sizeNow)
    }

    package func list(_ folder: ObjectName.Folder) async throws(ObjectStoreError) -> [ObjectName] {
        let options = RcloneClient.Input.Options(recurse: folder == .packs)
        return try await items(folder.rawValue, options).compactMap { ObjectName(path: $0.path) }
    }

    package func delete(_ name: ObjectName) async throws(ObjectStoreError) {
        if name == .header, try await movesFiles() { try await removeSurely(Self.nextHeader) }
        try await removeSurely(name.path)
        // The last of a store that is deleted; some remotes have no folder without files.
        if name == .header { hasSeen.withLock { $0 = false } }
    }

    /// No remote refuses a name that is taken, whatever lies behind it.
    package func probed() -> StoreCapabilities { StoreCapabilities(refusesToReplace: false) }

    package func removeFolders() async {
        for folder in ObjectName.Folder.allCases {
            _ = try? await client.call(
                "operations/rmdirs", RcloneClient.Input(fs: client.address.place, remote: folder.rawValue))
        }
        hasSeen.withLock { $0 = false }
        _ = try? await client.call("operations/rmdir", RcloneClient.Input(fs: client.address.place, remote: ""))
    }

    /// Files under temporary names at the top of the place, and a header that was to be replaced.
    package func abandoned(before seconds: UInt64, removing: Bool) async throws(ObjectStoreError) -> UInt64 {
        guard try await movesFiles() else { return 0 }
        var bytes: UInt64 = 0
        let items = try await items("", RcloneClient.Input.Options(noModTime: false))
        let hasHeader = items.contains { $0.path == ObjectName.header.path }
        for item in items where item.path.hasPrefix(Self.temporaryPrefix) || item.path == Self.nextHeader {
            guard let modified = item.modifiedSeconds, modified < seconds else { continue }
            guard hasHeader || item.path != Self.nextHeader else {
                if removing { try await names.alone(with: ObjectName.header.path, finishReplacement) }
                continue
            }
            if removing { try await remove(item.path) }
            bytes += UInt64(clamping: item.size)
        }
        return bytes
    }

    package func freeBytes() async -> UInt64? {
        struct About: Decodable {
            let free: Int64?
        }
        guard let answer = try? await client.call("operations/about", RcloneClient.Input(fs: client.address.place)),
            let about = try? JSONDecoder().decode(About.self, from: Data(answer))
        else { return nil }
        return about.free.flatMap { UInt64(exactly: $0) }
    }

    /// What rclone cannot open is shorter, is gone, or opens the next time: it says the same of all of them.
    private func opened(
        _ name: ObjectName, upTo end: Int, _ download: (String) async throws(StoreFailure) -> StoreAnswer
    ) async throws(ObjectStoreError) -> StoreAnswer {
        for opening in 1...Self.openingsMax {
            do throws(ObjectStoreError) {
                return try await whole(name, download)
            } catch .truncated {
                guard try await size(of: name) >= end else { throw .truncated(name.path) }
            }
            guard opening < Self.openingsMax, !Task.isCancelled else { break }
            await client.pause(afterFailures: opening)
        }
        throw .failed("\(name.path): rclone cannot open it\(await client.lastWords())")
    }
}
