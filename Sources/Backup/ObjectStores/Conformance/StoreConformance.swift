package import BackupEngine
import BackupFormat

/// The contract of `ObjectStore`, tried on a store that is there: what `coffer store test` shows to people is what the tests hold
/// every store to.
///
/// The store must be one that nothing else uses: a place of its own, whose header says so (`mark`). All that is written there is
/// deleted, whether the groups pass, fail or are cancelled.
package struct StoreConformance: Sendable {
    /// How much is written and read.
    package struct Extent: Sendable {
        package var sizes: [Int]
        package var listedObjects: Int
        /// How often eight writers race for one name.
        package var races: Int

        package init(sizes: [Int], listedObjects: Int, races: Int) {
            self.sizes = sizes
            self.listedObjects = listedObjects
            self.races = races
        }

        /// Of an upload that is stopped.
        var cutBytes: Int { min(3 << 20, sizes.max() ?? 0) }

        package static let whole = Extent(
            sizes: [
                0, 1, 255 << 10, 256 << 10, (256 << 10) + 1, 5 << 20, (5 << 20) + 1, 16 << 20,
            ], listedObjects: 2_500, races: 5)
        package static let quick = Extent(
            sizes: [0, 1, 255 << 10, 256 << 10, (256 << 10) + 1], listedObjects: 40, races: 2)
    }

    package enum Outcome: Equatable, Sendable {
        case passed
        /// It can be used, and promises less than the contract says; the words say what.
        case weaker(String)
        case failed(String)
        /// It cannot be tried here; the words say why, and what does.
        case notApplicable(String)

        /// Whether there may be more than the group knows to have written.
        fileprivate var mayLeaveMore: Bool {
            switch self {
            case .failed, .weaker: true
            case .passed, .notApplicable: false
            }
        }
    }

    package struct Finding: Sendable {
        package let group: Group
        package let outcome: Outcome
        package let seconds: Double
        package let bytesUp: UInt64
        package let bytesDown: UInt64
    }

    package enum Refusal: Error, Equatable, Sendable {
        /// Something lies there that no test has written; it was left as it is.
        case taken
        case cancelled
        case store(ObjectStoreError)
    }

    /// How the header of a place begins that is for tests: what is there may be deleted by the next one.
    static let mark = Array("{\"coffer\": \"a test of this store; it may be deleted\"}\n".utf8)

    private let store: MeteredStore
    private let peer: (any ObjectStore)?
    private let extent: Extent

    /// - Parameter peer: the same place, reached by another client.
    package init(_ store: any ObjectStore, peer: (any ObjectStore)? = nil, extent: Extent) {
        self.store = MeteredStore(store)
        self.peer = peer
        self.extent = extent
    }

    /// Tries all groups in turn; one that fails stops no other, unless the store cannot be reached any more.
    ///
    /// - Parameter report: told of each group when it is over.
    package func run(
        _ groups: [Group] = Group.all, report: (Finding) -> Void = { _ in }
    ) async throws(Refusal) -> [Finding] {
        try await claim()
        var findings: [Finding] = []
        var lost: String?
        for group in groups where !Task.isCancelled {
            let finding: Finding
            if let lost {
                finding = Finding(group: group, outcome: .notApplicable(lost), seconds: 0, bytesUp: 0, bytesDown: 0)
            } else {
                finding = await attempt(group)
            }
            if Task.isCancelled { break }
            findings.append(finding)
            report(finding)
            if case .failed = finding.outcome, lost == nil, await !isThere() {
                lost = "not tried: the store cannot be reached any more"
            }
        }
        // A task of its own, which no cancellation reaches.
        let cleared = await Task { () -> ObjectStoreError? in
            do throws(ObjectStoreError) { try await Self.clear(store.inner) } catch { return error }
            return nil
        }.value
        guard !Task.isCancelled else { throw .cancelled }
        if let cleared { throw .store(cleared) }
        return findings
    }

    /// What `run` moves at most, in bytes.
    package var bytesUpMax: UInt64 { Group.all.reduce(0) { $0 + UInt64($1.bytes(extent).up) } }
    package var bytesDownMax: UInt64 { Group.all.reduce(0) { $0 + UInt64($1.bytes(extent).down) } }

    /// Marks the place as one for tests, and is rid of what a test that was killed left there.
    private func claim() async throws(Refusal) {
        let isFree: Bool
        do throws(ObjectStoreError) {
            isFree = try await Self.isFree(store.inner)
            if isFree { try await store.inner.create(.header, Self.mark) }
        } catch {
            throw .store(error)
        }
        guard isFree else { throw .taken }
    }

    private static func isFree(_ store: any ObjectStore) async throws(ObjectStoreError) -> Bool {
        if let header = try await header(of: store) {
            guard header.starts(with: mark) else { return false }
            try await clear(store)
            return true
        }
        for folder in ObjectName.Folder.allCases {
            guard try await store.list(folder).isEmpty else { return false }
        }
        return true
    }

    private static func header(of store: any ObjectStore) async throws(ObjectStoreError) -> [UInt8]? {
        do { return try await store.read(.header) } catch .notFound { return nil }
    }

    private func isThere() async -> Bool { (try? await store.inner.size(of: .header)) != nil }

    private func attempt(_ group: Group) async -> Finding {
        let before = store.moved
        let clock = ContinuousClock()
        let start = clock.now
        let trial = Trial(store: store, peer: peer, extent: extent)
        let outcome: Outcome
        do {
            outcome = try await group.run(trial)
        } catch let unmet as Unmet {
            outcome = .failed(unmet.words)
        } catch let error as ObjectStoreError {
            outcome = .failed("the store says: \(error.words)")
        } catch {
            outcome = .failed("\(error)")
        }
        let remains = await removed(trial, everything: outcome.mayLeaveMore)
        let time = clock.now - start
        let after = store.moved
        return Finding(
            group: group, outcome: remains ?? outcome,
            seconds: Double(time.components.seconds) + Double(time.components.attoseconds) / 1e18,
            bytesUp: after.up - before.up, bytesDown: after.down - before.down)
    }

    /// Deletes what a group wrote; what cannot be deleted is a failure of its own.
    private func removed(_ trial: Trial, everything: Bool) async -> Outcome? {
        await Task {
            do {
                try await trial.removeAll()
                if everything { try await Self.empty(store.inner) }
                return nil
            } catch {
                return Outcome.failed("what was written cannot be deleted: \(error)")
            }
        }.value
    }

    /// Everything of a place, its header last: what is cut goes on next time.
    private static func clear(_ store: any ObjectStore) async throws(ObjectStoreError) {
        try await empty(store)
        try await store.delete(.header)
        await store.removeFolders()
    }

    private static func empty(_ store: any ObjectStore) async throws(ObjectStoreError) {
        for folder in ObjectName.Folder.allCases {
            try await Trial.delete(try await store.list(folder), from: store)
        }
        _ = try await store.abandoned(before: .max, removing: true)
    }
}

/// What a store should have done, in words.
struct Unmet: Error {
    let words: String
}

extension ObjectStoreError {
    /// For people: a part of a sentence.
    package var words: String {
        switch self {
        case .notFound(let name): "\(name) is not there"
        case .exists(let name): "\(name) is there already"
        case .full: "there is no room left"
        case .cancelled: "it was stopped"
        case .dailyLimit(let detail): "it takes no more today: \(detail)"
        case .truncated(let name): "\(name) is cut"
        case .denied(let name): "access to \(name) is not allowed"
        case .credentials(let detail): "the sign-in is not accepted (\(detail))"
        case .failed(let detail): detail
        }
    }
}
