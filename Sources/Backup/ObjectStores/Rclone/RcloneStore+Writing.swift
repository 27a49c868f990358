import BackupEngine
import BackupFormat
import ByteCoding
import Foundation
import Primitives
import Synchronization

extension RcloneStore {
    /// - Parameter body: the form with the object in it.
    func create(
        _ name: ObjectName, _ form: RcloneForm, _ body: StoreBody, byteCount: Int
    ) async throws(ObjectStoreError) {
        try await names.alone(with: name.path) { () async throws(ObjectStoreError) in
            do throws(ObjectStoreError) {
                _ = try await taken(name)
                throw .exists(name.path)
            } catch .notFound {}
            guard form.path != name.path else { return try await sendNew(form, body, byteCount: byteCount) }
            try await sendAside(form, body, byteCount: byteCount) { () async throws(ObjectStoreError) in
                try await move(form.path, to: name.path, byteCount: byteCount)
            }
        }
    }

    /// The size of what has the name. What nobody else can have chosen is not looked for twice.
    private func taken(_ name: ObjectName) async throws(ObjectStoreError) -> Int {
        if name == .header { return try await wholeHeader(sizeNow) }
        guard name.isRandom else {
            return try await believed(name.path) { () async throws(StoreFailure) in try await sizeNow(of: name.path) }
        }
        return try await asking(name.path) { () async throws(StoreFailure) in try await sizeNow(of: name.path) }
    }

    /// Under which name an object is uploaded.
    func form(for name: ObjectName) async throws(ObjectStoreError) -> RcloneForm {
        guard try await movesFiles() else { return RcloneForm(path: name.path) }
        var generator = SystemRandomNumberGenerator()
        return RcloneForm(path: "\(Self.temporaryPrefix)\(Hex.encode(generator.bytes(16)))")
    }

    /// Whether the remote itself moves files: what it does for that is no copy.
    func movesFiles() async throws(ObjectStoreError) -> Bool {
        struct Remote: Decodable {
            struct Features: Decodable {
                let movesFiles: Bool

                enum CodingKeys: String, CodingKey { case movesFiles = "Move" }
            }
            let features: Features

            enum CodingKeys: String, CodingKey { case features = "Features" }
        }
        if let known = moves.withLock({ $0 }) { return known }
        let answer = try await asking("") { () async throws(StoreFailure) in
            try await client.call("operations/fsinfo", RcloneClient.Input(fs: client.address.place))
        }
        let remote = try? JSONDecoder().decode(Remote.self, from: Data(answer))
        guard let movesFiles = remote?.features.movesFiles else {
            throw .failed("rclone does not say what the remote can do")
        }
        moves.withLock { $0 = movesFiles }
        return movesFiles
    }

    /// Uploads under a temporary name and goes on from there; nothing is left of it if that fails.
    ///
    /// - Parameter finish: says whether it is done; otherwise the upload was lost on its way, and is made again.
    func sendAside(
        _ form: RcloneForm, _ body: StoreBody, byteCount: Int, then finish: () async throws(ObjectStoreError) -> Bool
    ) async throws(ObjectStoreError) {
        do throws(ObjectStoreError) {
            for _ in 0..<Self.triesMax {
                try await send(form, body, byteCount: byteCount)
                if try await finish() { return }
            }
            throw .failed("\(form.path): it was lost on its way, each time")
        } catch {
            if Task.isCancelled {
                await AfterStop.run { try? await self.remove(form.path) }
            } else {
                try? await remove(form.path)
            }
            throw error
        }
    }

    /// Under a name that is ours alone: an upload is there when the remote says that it has as many bytes as were sent; what has others is
    /// deleted.
    private func send(_ form: RcloneForm, _ body: StoreBody, byteCount: Int) async throws(ObjectStoreError) {
        for _ in 0..<Self.triesMax {
            if try await sent(form, body)?.size == byteCount { return }
            try await remove(form.path)
        }
        throw .failed("\(form.path): it arrives cut, each time")
    }

    /// Under its own name, where nothing is moved. A list may lag, and what is longer than ours is somebody else's.
    private func sendNew(_ form: RcloneForm, _ body: StoreBody, byteCount: Int) async throws(ObjectStoreError) {
        for sending in 1...Self.triesMax {
            if try await sent(form, body)?.size == byteCount { return }
            await client.pause(afterFailures: sending)
            guard let seen = try await seen(form.path) else { continue }
            if seen.size == byteCount { return }
            guard seen.size < byteCount else { throw .exists(form.path) }
            try await remove(form.path)
        }
        throw .failed("\(form.path): it arrives cut, each time")
    }

    /// What is there after an upload.
    func sent(_ form: RcloneForm, _ body: StoreBody) async throws(ObjectStoreError) -> RcloneItem? {
        do throws(ObjectStoreError) {
            return try await asking(form.path) { () async throws(StoreFailure) -> RcloneItem? in
                try await client.upload(form, body)
                return try await look(at: form.path)
            }
        } catch .notFound {
            // A missing object is one that was lost; this one never was there.
            throw .failed("\(form.path): the place that it goes to is not found")
        }
    }

    func seen(_ path: String) async throws(ObjectStoreError) -> RcloneItem? {
        try await asking(path) { () async throws(StoreFailure) in try await look(at: path) }
    }

    /// - Returns: false if it is at neither place any more.
    func move(_ from: String, to path: String, byteCount: Int) async throws(ObjectStoreError) -> Bool {
        let place = client.address.place
        do throws(ObjectStoreError) {
            _ = try await asking(from) { () async throws(StoreFailure) in
                try await client.call(
                    "operations/movefile",
                    RcloneClient.Input(srcFs: place, srcRemote: from, dstFs: place, dstRemote: path))
            }
        } catch {
            // It may have been moved, and the answer lost. Of the second time a remote says what it likes, and some have deleted what
            // was at the place by then (WebDAV in Go). The name it had was ours alone.
            guard try await seen(from) == nil else {
                if case .notFound = error { throw .failed("\(path): the place that it goes to is not found") }
                throw error
            }
            let moved = try await seen(path)
            guard let moved else { return false }
            guard moved.size == byteCount else { throw .failed("\(path): it was lost on its way") }
        }
        return true
    }

    func remove(_ path: String) async throws(ObjectStoreError) {
        do throws(ObjectStoreError) {
            _ = try await asking(path) { () async throws(StoreFailure) in try await deleted(path) }
        } catch .notFound {}
    }

    /// The same for a name that others know: that it is not there is made sure of.
    func removeSurely(_ path: String) async throws(ObjectStoreError) {
        do throws(ObjectStoreError) {
            _ = try await believed(path) { () async throws(StoreFailure) in try await deleted(path) }
        } catch .notFound {}
    }

    private func deleted(_ path: String) async throws(StoreFailure) -> [UInt8] {
        try await client.call("operations/deletefile", RcloneClient.Input(fs: client.address.place, remote: path))
    }
}
