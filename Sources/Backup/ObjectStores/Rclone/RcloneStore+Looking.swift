import BackupEngine
import BackupFormat
import Foundation
import Synchronization

extension RcloneStore {
    /// Nil if no file has this name, as the remote says.
    func look(at path: String) async throws(StoreFailure) -> RcloneItem? {
        struct Answer: Decodable {
            let item: RcloneItem?
        }
        let bytes: [UInt8]
        do {
            bytes = try await client.call(
                "operations/stat",
                RcloneClient.Input(fs: client.address.place, remote: path, opt: RcloneClient.Input.Options()))
        } catch  where error.kind == .missing {
            return nil
        }
        guard let answer = try? JSONDecoder().decode(Answer.self, from: Data(bytes)) else {
            throw StoreFailure(.permanent, "rclone answers something else than was asked")
        }
        guard let item = answer.item else { return nil }
        guard item.size >= 0 else { throw StoreFailure(.permanent, "its size is not said") }
        hasSeen.withLock { $0 = true }
        return item
    }

    func sizeNow(of path: String) async throws(StoreFailure) -> Int {
        guard let item = try await look(at: path) else { throw StoreFailure(.missing, "") }
        return item.size
    }

    /// The files in a folder; one that is not there holds none.
    func items(
        _ folder: String, _ options: RcloneClient.Input.Options
    ) async throws(ObjectStoreError) -> [RcloneItem] {
        do throws(ObjectStoreError) {
            return try await believed(folder) { () async throws(StoreFailure) in try await listed(folder, options) }
        } catch .notFound {
            return []
        }
    }

    private func listed(
        _ folder: String, _ options: RcloneClient.Input.Options
    ) async throws(StoreFailure) -> [RcloneItem] {
        struct Answer: Decodable {
            let list: [RcloneItem]
        }
        let bytes = try await client.call(
            "operations/list", RcloneClient.Input(fs: client.address.place, remote: folder, opt: options),
            answerBytesMax: Self.listBytesMax)
        guard let answer = try? JSONDecoder().decode(Answer.self, from: Data(bytes)) else {
            throw StoreFailure(.permanent, "its list of objects is none")
        }
        if !answer.list.isEmpty { hasSeen.withLock { $0 = true } }
        return answer.list
    }

    // MARK: What is missing

    /// Asks. A 404 may come from anything between us and the remote: it is believed if the list of the folder answers, and does not name
    /// what was asked for.
    func believed<Found>(
        _ path: String, _ ask: () async throws(StoreFailure) -> Found
    ) async throws(ObjectStoreError) -> Found {
        for look in 1...Self.triesMax {
            do throws(ObjectStoreError) { return try await asking(path, ask) } catch .notFound {}
            guard try await !isMissing(path) else { throw .notFound(path) }
            guard look < Self.triesMax else { break }
            await client.pause(afterFailures: look)
        }
        throw .failed("\(path.isEmpty ? place : path): it is in the remote's list, and the remote does not find it")
    }

    /// Goes up from folder to folder until one answers.
    private func isMissing(_ path: String) async throws(ObjectStoreError) -> Bool {
        var path = path
        while !path.isEmpty {
            let parts = path.split(separator: "/")
            let folder = parts.dropLast().joined(separator: "/")
            let names = try await names(in: folder)
            if let names { return !names.contains(path) }
            path = folder
        }
        return try await isPlaceMissing()
    }

    /// The place itself may not have been made yet.
    private func isPlaceMissing() async throws(ObjectStoreError) -> Bool {
        guard !hasSeen.withLock({ $0 }) else { throw .failed("\(place) is not there any more, or not just now") }
        await client.pause(afterFailures: 1)
        return try await names(in: "") == nil
    }

    /// What is in a folder, as paths from the place on; nil if it is not there.
    private func names(in folder: String) async throws(ObjectStoreError) -> Set<String>? {
        do throws(ObjectStoreError) {
            let options = RcloneClient.Input.Options(filesOnly: false)
            let items = try await asking(folder) { () async throws(StoreFailure) in try await listed(folder, options) }
            return Set(items.map(\.path))
        } catch .notFound {
            return nil
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
