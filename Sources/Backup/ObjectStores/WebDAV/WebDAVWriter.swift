import BackupEngine
import BackupFormat
import ByteCoding
import Primitives
import Synchronization

/// Writes objects so that a name never holds half of one, on servers that write what comes straight into the file, and so that none is
/// written over, on servers that know no conditions: a file of a random name, a look at its size, and a move.
struct WebDAVWriter: Sendable {
    /// An object's bytes, which can be sent again.
    struct Content: Sendable {
        let body: StoreBody
        let byteCount: Int
        let sha256: @Sendable () -> [UInt8]

        init(_ bytes: [UInt8]) {
            body = .bytes(bytes)
            byteCount = bytes.count
            sha256 = { Primitives.sha256(bytes) }
        }

        init(_ bytes: SpooledBytes) {
            body = .spooled(bytes)
            byteCount = bytes.byteCount
            sha256 = { bytes.sha256 }
        }
    }

    private static let triesMax = 3

    let client: WebDAVClient
    let folders: WebDAVFolders

    /// - Parameter isNew: the name must be free.
    func write(_ name: ObjectName, _ content: Content, isNew: Bool) async throws(StoreFailure) {
        do {
            try await writeOnce(name, content, isNew: isNew)
        } catch {
            // Folders that were there before may not be any more; nginx says nothing but 500 then.
            if error.kind != .exists { folders.forget() }
            guard error.kind == .noParent else { throw error }
            try await writeOnce(name, content, isNew: isNew)
        }
    }

    private func writeOnce(_ name: ObjectName, _ content: Content, isNew: Bool) async throws(StoreFailure) {
        try await folders.prepare(for: name)
        let staged = try await stage(content)
        do throws(StoreFailure) {
            // A server may pay no heed to `Overwrite`. All other names are random.
            if isNew, Self.isShared(name), try await client.entry(name.path) != nil {
                throw StoreFailure(.exists, "somebody's")
            }
            try await publish(staged, as: name, content, isNew: isNew)
            // Servers look and then rename. Where other devices may create the same name, what stays in the end counts.
            if isNew, Self.isShared(name), try await !isSame(name, content) {
                throw StoreFailure(.exists, "another one's")
            }
        } catch {
            if Self.canTidyUp(after: error) { await remove([staged]) }
            throw error
        }
    }

    /// A server that cannot be reached is not asked to; what stays is found by its age.
    private static func canTidyUp(after failure: StoreFailure) -> Bool { !failure.isOfLine || Task.isCancelled }

    private static func isShared(_ name: ObjectName) -> Bool {
        switch name {
        case .header, .keyring: true
        case .pack, .index, .snapshot, .removal: false
        }
    }

    // MARK: Staging

    /// Uploads under a name that nobody else knows.
    ///
    /// Each try has another name: what comes late of one that was given up must not get into the next.
    /// - Returns: the name, under which all of it lies.
    private func stage(_ content: Content) async throws(StoreFailure) -> String {
        var kept: Int?
        for _ in 1...Self.triesMax {
            let names = StagingNames()
            do {
                _ = try await client.send {
                    WebDAVClient.Request(
                        method: "PUT", name: names.next(), headers: [("content-type", "application/octet-stream")],
                        body: content.body)
                }
            } catch {
                // Where there is no folder nothing is left.
                if Self.canTidyUp(after: error), error.kind != .noParent { await remove(names.all) }
                throw error
            }
            let all = names.all
            await remove(Array(all.dropLast()))
            guard let staged = all.last else { continue }
            kept = try await client.entry(staged)?.byteCount
            if kept == content.byteCount { return staged }
            await remove([staged])
        }
        throw StoreFailure(
            .permanent,
            "the server keeps \(kept.map(String.init) ?? "none") of \(content.byteCount) bytes; it may be full")
    }

    private final class StagingNames: Sendable {
        private let given = Mutex<[String]>([])
        var all: [String] { given.withLock { $0 } }

        func next() -> String {
            var generator = SystemRandomNumberGenerator()
            let name = WebDAVFolders.staging + Hex.encode(generator.bytes(16))
            given.withLock { $0.append(name) }
            return name
        }
    }

    /// As far as it goes at the first try.
    private func remove(_ names: [String]) async {
        // A task of its own, which no cancellation reaches.
        await Task { [client] in
            for name in names {
                do throws(StoreFailure) {
                    let request = WebDAVClient.Request(method: "DELETE", name: name, isTriedAgain: false)
                    _ = try await client.send(request)
                } catch {
                    guard error.kind == .missing else { return }
                }
            }
        }.value
    }

    // MARK: Moving

    private func publish(
        _ staged: String, as name: ObjectName, _ content: Content, isNew: Bool
    ) async throws(StoreFailure) {
        let sent = Mutex(0)
        do {
            _ = try await client.send {
                sent.withLock { $0 += 1 }
                return WebDAVClient.Request(
                    method: "MOVE", name: staged,
                    // A whole URL: Apache takes no path.
                    headers: [("destination", client.address.url(name.path)), ("overwrite", isNew ? "F" : "T")])
            }
        } catch {
            let wasSentBefore = sent.withLock { $0 } > 1
            switch error.kind {
            case .exists, .missing, .permanent: break
            case .denied where wasSentBefore: break
            // Some say 500 of what is gone. Who cannot be reached is not asked.
            case .transient where wasSentBefore && !error.isOfLine: break
            default: throw error
            }
            try await settle(error, staged, name, content, isNew: isNew, wasSentBefore: wasSentBefore)
        }
    }

    /// What became of a move that is refused: one before it may have been done, and its answer lost.
    private func settle(
        _ error: StoreFailure, _ staged: String, _ name: ObjectName, _ content: Content, isNew: Bool,
        wasSentBefore: Bool
    ) async throws(StoreFailure) {
        let isStillStaged = try await client.entry(staged) != nil
        let target = try await client.entry(name.path)
        let isAlike = target?.byteCount == content.byteCount
        guard isStillStaged else {
            // Only its own move takes it away, or somebody who tidies up: what is there may be somebody's, or the one before.
            let isSettled = wasSentBefore && !Self.isShared(name)
            guard isAlike, isSettled ? true : try await isSame(name, content) else {
                throw StoreFailure(.permanent, "what was uploaded was removed before it had its name")
            }
            return
        }
        guard target != nil else {
            // Some servers say so of the folder that it would lie in.
            throw error.kind == .missing ? StoreFailure(.noParent, error.detail) : error
        }
        guard isNew else { throw error }
        if wasSentBefore, isAlike, try await isSame(name, content) {
            return await remove([staged])
        }
        throw StoreFailure(.exists, error.detail)
    }

    /// A server that copies and then deletes may have done the one and not the other.
    private func isSame(_ name: ObjectName, _ content: Content) async throws(StoreFailure) -> Bool {
        let answer: StoreAnswer
        do {
            answer = try await client.send(
                WebDAVClient.Request(method: "GET", name: name.path, answerBytesMax: name.bytesMax))
        } catch {
            guard error.kind == .missing else { throw error }
            throw StoreFailure(.transient, "it was there, and is not any more (\(error.detail))")
        }
        return sha256(answer.body) == content.sha256()
    }
}
