import BackupFormat
import Synchronization

/// Finds out whether what a server says is not there (404) is not there. Whatever stands before a server says so of everything while the
/// server starts, and a server while its disk is away: it counts only if the folder above is shown, and does not name it.
final class WebDAVAbsence: Sendable {
    static let storeIsGone = StoreFailure(.noPlace, "the backup's folder is not there any more")

    private enum Word {
        case absent
        /// The rest of a store is there.
        case amongOthers
        /// What the server said is no word on this.
        case none(StoreFailure)
    }

    private static let looksMax = 5
    private static let header = ObjectName.header.path

    private let client: WebDAVClient
    /// A header was read here: from then on a place without one is no empty store.
    private let hasFoundStore = Mutex(false)

    init(_ client: WebDAVClient) { self.client = client }

    /// The store is deleted.
    func forget() { hasFoundStore.withLock { $0 = false } }

    /// - Parameters:
    ///   - path: what is asked about, below the store's folder; a folder ends with `/`, and empty is the store's own.
    ///   - isHeaderInUse: servers that replace by deleting and renaming have no header between the two: where there is a store it is
    ///     looked for again.
    ///   - ask: throws `.missing` where the server says so.
    /// - Throws: `.missing` if it is not there.
    func look<Found>(
        for path: String, isHeaderInUse: Bool = false, _ ask: () async throws(StoreFailure) -> Found
    ) async throws(StoreFailure) -> Found {
        var failures = 0
        while true {
            let failure: StoreFailure
            do {
                let found = try await ask()
                if isHeaderInUse { hasFoundStore.withLock { $0 = true } }
                return found
            } catch {
                failure = error
            }
            failures += 1
            switch try await word(on: path, after: failure, isHeaderInUse: isHeaderInUse) {
            case .absent: throw failure
            case .amongOthers: guard isHeaderInUse, failures < Self.looksMax else { throw failure }
            case .none(let words):
                let triesMax = client.triesMax(isKnown: hasFoundStore.withLock { $0 })
                guard failures < triesMax, !Task.isCancelled else { throw words }
            }
            await client.pause(afterFailures: failures)
        }
    }

    private func word(
        on path: String, after failure: StoreFailure, isHeaderInUse: Bool
    ) async throws(StoreFailure) -> Word {
        switch failure.kind {
        case .missing: return try await word(on: path, after: failure)
        // Apache refuses what vanishes while it looks at it.
        case .denied where isHeaderInUse:
            guard let names = try? await names(in: ""), !names.isEmpty else { throw failure }
            return .amongOthers
        default: throw failure
        }
    }

    /// Goes down from the store's folder to where something is not named.
    private func word(on path: String, after failure: StoreFailure) async throws(StoreFailure) -> Word {
        var folder = ""
        for part in path.split(separator: "/").map(String.init) {
            guard let names = try await names(in: folder) else {
                return folder.isEmpty ? try await wordOnStore(after: failure) : Self.contradiction(failure)
            }
            if folder.isEmpty, path != Self.header, !names.contains(Self.header), !names.contains("keyring"),
                hasFoundStore.withLock({ $0 })
            {
                throw Self.storeIsGone
            }
            guard names.contains(part) else { return names.isEmpty ? .absent : .amongOthers }
            folder += "\(part)/"
        }
        return path.isEmpty ? try await wordOnStore(after: failure) : Self.contradiction(failure)
    }

    /// Whether the store's own folder is not there.
    private func wordOnStore(after failure: StoreFailure) async throws(StoreFailure) -> Word {
        let folders = client.address.folders
        for depth in (0..<folders.count).reversed() {
            let own = depth > 0 ? folders[depth - 1] : ""
            guard let names = try await names(in: own, at: client.address.ancestorURL(depth)) else { continue }
            guard !names.contains(folders[depth]) else { return Self.contradiction(failure) }
            guard !hasFoundStore.withLock({ $0 }) else { throw Self.storeIsGone }
            return .absent
        }
        return .none(
            StoreFailure(
                .noPlace,
                "it says of every folder of this address that it is not there (status 404), as what is no WebDAV server says, or one "
                    + "that starts"))
    }

    private static func contradiction(_ failure: StoreFailure) -> Word {
        .none(StoreFailure(.transient, "the server says that it is not there (\(failure.detail)), and lists it"))
    }

    private func names(in folder: String) async throws(StoreFailure) -> Set<String>? {
        let own = folder.split(separator: "/").last.map(String.init) ?? client.address.folders.last ?? ""
        return try await names(in: own, at: client.address.url(folder))
    }

    /// Nil if the server says that the folder is not there.
    private func names(in own: String, at url: String) async throws(StoreFailure) -> Set<String>? {
        do {
            return try await client.properties(of: "", depth: 1, ["resourcetype"], at: url).list.names(in: own)
        } catch {
            guard error.kind == .missing else { throw error }
            return nil
        }
    }
}
