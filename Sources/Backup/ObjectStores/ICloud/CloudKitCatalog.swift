import Synchronization

/// The names of all records in the zone, as its changes tell them: they need no index, and after the first time only what is new comes.
final class CloudKitCatalog: Sendable {
    private struct State {
        var names: Set<String> = []
        var syncToken: String?
    }

    private let client: CloudKitClient
    private let state = Mutex(State())
    private let turns = NameLocks()

    init(_ client: CloudKitClient) { self.client = client }

    /// All of them; whole, or an error.
    ///
    /// - Parameter anew: from the beginning, whatever was known.
    func names(anew: Bool = false) async throws(StoreFailure) -> Set<String> {
        try await turns.holding("") { () throws(StoreFailure) in
            if anew { self.state.withLock { $0 = State() } }
            do throws(StoreFailure) { try await self.update() } catch
                where error.kind == .permanent && self.knowsSomething
            {
                // It may be the place in the changes that is not known any more.
                self.state.withLock { $0 = State() }
                try await self.update()
            }
            return self.state.withLock { $0.names }
        }
    }

    /// For a zone that is not there any more.
    func forget() { state.withLock { $0 = State() } }

    private var knowsSomething: Bool { state.withLock { $0.syncToken != nil } }

    private func update() async throws(StoreFailure) {
        var isMore = true
        var places: Set<String?> = []
        while isMore {
            let before = state.withLock { $0.syncToken }
            places.insert(before)
            let page: CloudKitChangesPage = try await client.call(
                "records/changes", CloudKitChanges(zoneID: client.zone, syncToken: before, desiredKeys: ["size"]))
            // Changes that do not move on would never end.
            guard !page.moreComing || !places.contains(page.syncToken) else {
                throw StoreFailure(.permanent, "its list of changes repeats itself")
            }
            guard !Task.isCancelled else { throw StoreFailure(.transient, "it was stopped") }
            state.withLock { state in
                for record in page.records {
                    if record.deleted == true {
                        state.names.remove(record.recordName)
                    } else {
                        state.names.insert(record.recordName)
                    }
                }
                state.syncToken = page.syncToken
            }
            isMore = page.moreComing
        }
    }
}
