import BackupEngine
import BackupFormat
import Synchronization

/// Makes the folders of a store, each once.
final class WebDAVFolders: Sendable {
    static let staging = "staging/"

    private let client: WebDAVClient
    private let absence: WebDAVAbsence
    /// Whose names end with `/`; empty is the store's own.
    private let known = Mutex<Set<String>>([])
    private let hasLearnedPacks = Mutex(false)
    /// Those above the store's own that were made here, by how many levels of the address they are.
    private let madeDepths = Mutex<Set<Int>>([])

    init(_ client: WebDAVClient, _ absence: WebDAVAbsence) {
        self.client = client
        self.absence = absence
    }

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

    /// The folders above the store's own that were made here since this was asked last, the innermost first.
    func takeMadeAncestors() -> [Int] {
        madeDepths.withLock { depths in
            defer { depths = [] }
            return depths.filter { $0 < client.address.folders.count }.sorted(by: >)
        }
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
            while depth > 0, try await !makeAncestor(depth) {
                depth -= 1
                guard depth > 0 else {
                    throw StoreFailure(.noPlace, "no folder can be made at this address; check it")
                }
            }
            for depth in depth..<depths {
                guard try await makeAncestor(depth + 1) else {
                    throw StoreFailure(.transient, "a folder that was made is not there")
                }
            }
        }
        note([""])
    }

    /// - Returns: false if the one above it is not there either.
    private func makeAncestor(_ depth: Int) async throws(StoreFailure) -> Bool {
        let url = client.address.ancestorURL(depth)
        do {
            _ = try await client.send(WebDAVClient.Request(method: "MKCOL", name: "", url: url))
            madeDepths.withLock { _ = $0.insert(depth) }
        } catch  where error.kind == .noParent {
            return false
        } catch {
            let isThere = error.kind == .denied ? try await client.entry("", at: url) != nil : error.kind == .exists
            guard isThere else { throw error }
        }
        return true
    }

    /// A store that is being copied here has its keyrings already, and its header last.
    private func findStore() async throws(StoreFailure) {
        let list: MultiStatus
        do {
            list = try await absence.look(for: "") { () async throws(StoreFailure) in
                try await client.properties(of: "", depth: 1, ["resourcetype"]).list
            }
        } catch {
            throw error.kind == .missing ? WebDAVAbsence.storeIsGone : error
        }
        let names = list.names(in: client.address.folders.last ?? "")
        guard names.contains("coffer.json") || names.contains("keyring") else { throw WebDAVAbsence.storeIsGone }
        note([""] + list.entries.filter { $0.isFolder && names.contains($0.name) }.map { "\($0.name)/" })
    }

    private func learnPacks() async throws(StoreFailure) {
        guard !hasLearnedPacks.withLock({ $0 }) else { return }
        let entries: [MultiStatus.Entry]
        do { entries = try await client.properties(of: "packs/", depth: 1, ["resourcetype"]).list.entries } catch {
            // It was made or seen just now.
            throw error.kind == .missing ? StoreFailure(.noParent, error.detail) : error
        }
        note(entries.filter(\.isFolder).map { "packs/\($0.name)/" })
        hasLearnedPacks.withLock { $0 = true }
    }
}
