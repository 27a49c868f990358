import BackupEngine
import BackupFormat

// A store may hold snapshots of several folders, and imports beside them: which one is meant by "the newest".

/// The snapshots of a store, each read once at most.
struct ReadSnapshots: Sendable {
    private let repository: Repository
    /// Oldest first.
    let names: [SnapshotName]
    private var read: [SnapshotName: Snapshot] = [:]

    init(_ repository: Repository) async throws(ObjectStoreError) {
        self.repository = repository
        names = try await repository.snapshotNames()
    }

    mutating func snapshot(_ name: SnapshotName) async throws(ReadError) -> Snapshot {
        if let known = read[name] { return known }
        let snapshot = try await repository.snapshot(name)
        read[name] = snapshot
        return snapshot
    }
}

extension OpenedBackup {
    /// How near a snapshot's source is to what a person means who names none.
    private enum Nearness: Int, Comparable {
        /// An import alone would hide the folder.
        case imported
        case otherFolder
        case meant

        static func < (left: Nearness, right: Nearness) -> Bool { left.rawValue < right.rawValue }
    }

    private func nearness(_ snapshot: Snapshot) -> Nearness {
        if let ownSource, snapshot.source == ownSource { return .meant }
        if SourceLocation(snapshot.source) == .imports { return .imported }
        return ownSource == nil ? .meant : .otherFolder
    }

    /// - Throws: if one of those that may be meant cannot be read.
    func newest(among all: inout ReadSnapshots) async throws(ReadError) -> Snapshot? {
        var found: Snapshot?
        for name in all.names.reversed() {
            let snapshot = try await all.snapshot(name)
            if nearness(snapshot) == .meant { return snapshot }
            if found.map({ nearness($0) < nearness(snapshot) }) ?? true { found = snapshot }
        }
        return found
    }

    /// Those that cannot be read are passed over.
    func newest(among all: inout ReadSnapshots, at seconds: UInt64) async throws(ReadError) -> Snapshot? {
        var found: Snapshot?
        for name in all.names {
            do {
                let snapshot = try await all.snapshot(name)
                guard snapshot.endedSeconds <= seconds else { continue }
                // Numbers rise with time only as far as all devices' clocks are right.
                let isBetter = found.map { found in
                    (nearness(snapshot), snapshot.endedSeconds) >= (nearness(found), found.endedSeconds)
                }
                if isBetter ?? true { found = snapshot }
            } catch {
                if case .store = error { throw error }
            }
        }
        return found
    }

    /// The newest that is meant, and the newest import, which no restore of the folder needs.
    func newestToVerify(of snapshots: [SnapshotName: Snapshot]) -> [SnapshotName] {
        let newestFirst = snapshots.sorted { $0.key > $1.key }
        let nearest = newestFirst.map { nearness($0.value) }.max()
        let meant = newestFirst.first { nearness($0.value) == nearest }
        let imported = newestFirst.first { nearness($0.value) == .imported }
        return [meant?.key, imported?.key == meant?.key ? nil : imported?.key].compactMap { $0 }
    }

    /// Which snapshot a restore takes that names none by its number, and what else there is; nil where there is nothing else.
    func choiceNote(
        _ selection: Selection, _ chosen: Snapshot, among all: inout ReadSnapshots
    ) async throws(CofferError) -> String? {
        if case .number = selection { return nil }
        var newest: [String: UInt32] = [:]
        for name in all.names {
            do {
                newest[try await all.snapshot(name).source] = name.number
            } catch {
                if case .store(let failure) = error { throw CofferError(failure, place: place) }
            }
        }
        newest[chosen.source] = nil
        guard !newest.isEmpty else { return nil }
        let others = newest.sorted { $0.value > $1.value }.map { "\(Self.words($0.key)), \($0.value)" }
        return
            "Snapshot \(chosen.number) is taken, of \(Self.words(chosen.source)). The store holds more than that; the newest of "
            + "each: \(others.joined(separator: "; ")). Restore it with --snapshot NUMBER, to a folder of its own."
    }

    private static func words(_ source: String) -> String {
        SourceLocation(source) == .imports ? "what was imported from WhatsApp's backups" : source
    }
}
