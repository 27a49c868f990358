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
package final class RcloneStore: ObjectStore {
    private static let objectBytesMax = 1 << 30
    /// A list of 100,000 objects takes 14 MB.
    private static let listBytesMax = 1 << 29
    static let triesMax = 3
    /// What `FolderStore` calls its own, too: one store may be reached both ways.
    static let temporaryPrefix = ".writing-"
    /// A new header that is complete, while the old one is taken away.
    static let nextHeader = "\(ObjectName.header.path).next"

    let client: RcloneClient
    let names = NamesInUse()
    /// Once it is known.
    let moves = Mutex<Bool?>(nil)

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

    package func replace(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        let form = try await form(for: name)
        let body = StoreBody.bytes(form.head + bytes + form.tail)
        try await names.alone(with: name.path) { () async throws(ObjectStoreError) in
            guard form.path != name.path else { return try await send(form, body, byteCount: bytes.count) }
            try await sendAside(form, body, byteCount: bytes.count) { () async throws(ObjectStoreError) in
                // rclone moves nothing over a file that it thinks the same, by size alone on some remotes.
                try await remove(Self.nextHeader)
                guard try await move(form.path, to: Self.nextHeader, byteCount: bytes.count) else { return false }
                try await remove(name.path)
                return try await move(Self.nextHeader, to: name.path, byteCount: bytes.count)
            }
        }
    }

    package func read(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8] {
        let answer = try await opened(name, upTo: 0) { () async throws(StoreFailure) in
            try await client.download(name.path, answerBytesMax: Self.objectBytesMax)
        }
        // One that breaks off would end as if it were complete.
        guard answer.header("content-length") != nil else { throw .failed("\(name.path): its length is not said") }
        return answer.body
    }

    package func read(_ name: ObjectName, _ range: Range<Int>) async throws(ObjectStoreError) -> [UInt8] {
        guard !range.isEmpty else {
            guard try await size(of: name) >= range.upperBound else { throw .truncated(name.path) }
            return []
        }
        let answer = try await opened(name, upTo: range.upperBound) { () async throws(StoreFailure) in
            try await client.download(name.path, range, answerBytesMax: max(range.count, StoreAnswer.slicedBytesMax))
        }
        // What begins behind the end is answered with a part that ends before it begins (`bytes 10-5/6`).
        if let total = answer.header("content-range")?.split(separator: "/").last.flatMap({ Int($0) }),
            total < range.upperBound
        {
            throw .truncated(name.path)
        }
        return try answer.part(range, of: name.path)
    }

    package func size(of name: ObjectName) async throws(ObjectStoreError) -> Int {
        try await whole(name) { () async throws(StoreFailure) in try await sizeNow(of: name) }
    }

    package func list(_ folder: ObjectName.Folder) async throws(ObjectStoreError) -> [ObjectName] {
        let options = RcloneClient.Input.Options(recurse: folder == .packs)
        return try await items(folder.rawValue, options).compactMap { ObjectName(path: $0.path) }
    }

    package func delete(_ name: ObjectName) async throws(ObjectStoreError) {
        if name == .header, try await movesFiles() { try await remove(Self.nextHeader) }
        try await remove(name.path)
    }

    /// No remote refuses a name that is taken, whatever lies behind it.
    package func probed() -> StoreCapabilities { StoreCapabilities(refusesToReplace: false) }

    package func removeFolders() async {
        for folder in ObjectName.Folder.allCases {
            _ = try? await client.call(
                "operations/rmdirs", RcloneClient.Input(fs: client.address.place, remote: folder.rawValue))
        }
        _ = try? await client.call("operations/rmdir", RcloneClient.Input(fs: client.address.place, remote: ""))
    }

    /// Files under temporary names at the top of the place.
    package func abandoned(before seconds: UInt64, removing: Bool) async throws(ObjectStoreError) -> UInt64 {
        guard try await movesFiles() else { return 0 }
        var bytes: UInt64 = 0
        for item in try await items("", RcloneClient.Input.Options(noModTime: false))
        where item.path.hasPrefix(Self.temporaryPrefix) {
            guard let modified = item.modifiedSeconds, modified < seconds else { continue }
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

    // MARK: Looking

    /// Nil if no file has this name.
    func look(at path: String) async throws(StoreFailure) -> RcloneItem? {
        struct Answer: Decodable {
            let item: RcloneItem?
        }
        let bytes = try await client.call(
            "operations/stat",
            RcloneClient.Input(fs: client.address.place, remote: path, opt: RcloneClient.Input.Options()))
        guard let answer = try? JSONDecoder().decode(Answer.self, from: Data(bytes)) else {
            throw StoreFailure(.permanent, "rclone answers something else than was asked")
        }
        guard let item = answer.item else { return nil }
        guard item.size >= 0 else { throw StoreFailure(.permanent, "its size is not said") }
        return item
    }

    /// The files in a folder; one that is not there holds none.
    private func items(
        _ folder: String, _ options: RcloneClient.Input.Options
    ) async throws(ObjectStoreError) -> [RcloneItem] {
        struct Answer: Decodable {
            let list: [RcloneItem]
        }
        let bytes: [UInt8]
        do throws(ObjectStoreError) {
            bytes = try await asking(folder) { () async throws(StoreFailure) in
                try await client.call(
                    "operations/list",
                    RcloneClient.Input(fs: client.address.place, remote: folder, opt: options),
                    answerBytesMax: Self.listBytesMax)
            }
        } catch .notFound {
            return []
        }
        guard let answer = try? JSONDecoder().decode(Answer.self, from: Data(bytes)) else {
            throw .failed("its list of objects is none")
        }
        return answer.list
    }

    /// What rclone cannot open is shorter, is gone, or opens the next time.
    private func opened(
        _ name: ObjectName, upTo end: Int, _ download: () async throws(StoreFailure) -> StoreAnswer
    ) async throws(ObjectStoreError) -> StoreAnswer {
        for _ in 0..<Self.triesMax {
            do throws(ObjectStoreError) {
                return try await whole(name, download)
            } catch .truncated {
                guard try await size(of: name) >= end else { throw .truncated(name.path) }
            }
        }
        throw .failed("\(name.path): rclone cannot open it")
    }

    func sizeNow(of name: ObjectName) async throws(StoreFailure) -> Int {
        guard let item = try await look(at: name.path) else { throw StoreFailure(.missing, "") }
        return item.size
    }

    /// The header may be replaced just now, for which it is away for a moment, or change between its size and its bytes.
    private func whole<Found>(
        _ name: ObjectName, _ ask: () async throws(StoreFailure) -> Found
    ) async throws(ObjectStoreError) -> Found {
        guard name == .header else { return try await asking(name.path, ask) }
        return try await names.alone(with: name.path) { () async throws(ObjectStoreError) in
            try await finishingReplacement(of: name, ask)
        }
    }

    /// A header that is missing may be one that was being replaced when the writer ended: the new one is complete then.
    func finishingReplacement<Found>(
        of name: ObjectName, _ ask: () async throws(StoreFailure) -> Found
    ) async throws(ObjectStoreError) -> Found {
        do throws(ObjectStoreError) {
            return try await asking(name.path, ask)
        } catch .notFound where name == .header {
            guard try await movesFiles(),
                let next = try await asking(
                    name.path, { () async throws(StoreFailure) in try await look(at: Self.nextHeader) })
            else { throw .notFound(name.path) }
            guard try await move(Self.nextHeader, to: name.path, byteCount: next.size) else {
                throw .notFound(name.path)
            }
            return try await asking(name.path, ask)
        }
    }

    func asking<Found>(
        _ path: String, _ ask: () async throws(StoreFailure) -> Found
    ) async throws(ObjectStoreError) -> Found {
        do { return try await ask() } catch {
            throw error.storeError(path, in: "the remote \(client.address.remoteName)")
        }
    }
}
