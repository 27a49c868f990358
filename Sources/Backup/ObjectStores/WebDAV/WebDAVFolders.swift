import BackupEngine
import BackupFormat
import Synchronization

/// Makes the folders of a store, each once.
final class WebDAVFolders: Sendable {
    static let staging = "staging/"

    private let client: WebDAVClient
    /// Whose names end with `/`; empty is the store's own.
    private let known = Mutex<Set<String>>([])
    private let hasLearnedPacks = Mutex(false)

    init(_ client: WebDAVClient) { self.client = client }

    /// Sees to the folder that an object goes to, and to the one in which it is written before.
    ///
    /// Only a new store's keyring and header may make the store's own folder: where a disk behind the server is gone, half a backup
    /// must not go to what is left.
    func prepare(for name: ObjectName) async throws(StoreFailure) {
        if !isKnown("") {
            switch name {
            case .keyring, .header: try await makeRoot()
            case .pack, .index, .snapshot, .removal: try await findStore()
            }
        }
        try await make(Self.staging)
        var folder = ""
        for part in name.path.split(separator: "/").dropLast() {
            let above = folder
            folder += "\(part)/"
            // Two hundred folders are learned from one list, not made one by one.
            if above == "packs/" { try await learnPacks() }
            try await make(folder)
        }
    }

    /// Somebody took folders away: all is looked at anew.
    func forget() {
        known.withLock { $0 = [] }
        hasLearnedPacks.withLock { $0 = false }
    }

    private func isKnown(_ folder: String) -> Bool { known.withLock { $0.contains(folder) } }

    private func note(_ folders: [String]) { known.withLock { $0.formUnion(folders) } }

    private func make(_ folder: String) async throws(StoreFailure) {
        guard !isKnown(folder) else { return }
        do { _ = try await client.send(WebDAVClient.Request(method: "MKCOL", name: folder)) } catch {
            // Apache says 403 where somebody else makes it at the same moment.
            let isThere = error.kind == .denied ? try await client.entry(folder) != nil : error.kind == .exists
            guard isThere else { throw error }
        }
        note([folder])
    }

    /// Makes the store's own folder, and those above it that are not there yet.
    private func makeRoot() async throws(StoreFailure) {
        if try await client.entry("") == nil {
            let depths = client.address.folders.count
            var depth = depths
            while depth > 0, try await !makeAncestor(depth, mayLackParent: depth > 1) { depth -= 1 }
            for depth in depth..<depths { _ = try await makeAncestor(depth + 1, mayLackParent: false) }
        }
        note([""])
    }

    /// - Returns: false if the one above it is not there either.
    private func makeAncestor(_ depth: Int, mayLackParent: Bool) async throws(StoreFailure) -> Bool {
        let url = client.address.ancestorURL(depth)
        do {
            _ = try await client.send(WebDAVClient.Request(method: "MKCOL", name: "", url: url))
        } catch  where mayLackParent && (error.kind == .noParent || error.kind == .missing) {
            return false
        } catch {
            let isThere = error.kind == .denied ? try await client.entry("", at: url) != nil : error.kind == .exists
            guard isThere else { throw error }
        }
        return true
    }

    /// A store that is being copied here has its keyrings already, and its header last.
    private func findStore() async throws(StoreFailure) {
        let entries: [MultiStatus.Entry]
        do { entries = try await client.properties(of: "", depth: 1).entries } catch {
            guard error.kind == .missing else { throw error }
            entries = []
        }
        guard entries.contains(where: { $0.name == "coffer.json" || $0.name == "keyring" }) else {
            throw StoreFailure(.noPlace, "the backup's folder is not there any more")
        }
        note([""] + entries.filter(\.isFolder).map { "\($0.name)/" })
    }

    private func learnPacks() async throws(StoreFailure) {
        guard !hasLearnedPacks.withLock({ $0 }) else { return }
        let entries = try await client.properties(of: "packs/", depth: 1).entries
        note(entries.filter(\.isFolder).map { "packs/\($0.name)/" })
        hasLearnedPacks.withLock { $0 = true }
    }
}
