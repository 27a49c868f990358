import Synchronization
import VaultCore

/// Tenants with their keys read, for a few seconds at a time: a tenant that was added or changed while the vault
/// serves is seen without a restart.
final class TenantDirectory: Sendable {
    struct Entry: Sendable {
        let name: String
        let policy: TenantPolicy
        let keys: TenantKeys
    }

    private static let freshSeconds: UInt64 = 5

    private let records: SealedRecords
    private let configuration: ConfigurationCache
    private let clock: @Sendable () -> Moment
    /// By the name's bytes: Swift's own equality takes two spellings of one character for the same tenant.
    private let entries = Mutex<[[UInt8]: KeptReading<Entry?>]>([:])

    init(records: SealedRecords, configuration: ConfigurationCache, clock: @escaping @Sendable () -> Moment) {
        self.records = records
        self.configuration = configuration
        self.clock = clock
    }

    /// Nil if there is no such tenant. Names that are unknown are not remembered, for strangers choose them; they are
    /// not looked up in the store either.
    func tenant(_ name: String) async throws(LedgerError) -> Entry? {
        if let entry = fresh(name) { return entry }
        guard try await configuration.serves(name) else { return nil }
        let entry = try await kept(name).value()
        if entry == nil { entries.withLock { $0[Array(name.utf8)] = nil } }
        return entry
    }

    /// What each message but one of some seconds finds.
    private func fresh(_ name: String) -> Entry? {
        let now = clock().uptimeSeconds
        guard configuration.servesFresh(name, at: now) == true else { return nil }
        return entries.withLock { $0[Array(name.utf8)] }?.fresh(at: now) ?? nil
    }

    private func kept(_ name: String) -> KeptReading<Entry?> {
        entries.withLock { entries in
            let bytes = Array(name.utf8)
            if let known = entries[bytes] { return known }
            let kept = KeptReading(freshSeconds: Self.freshSeconds, clock: clock) { [records] in
                await Self.read(name, records)
            }
            entries[bytes] = kept
            return kept
        }
    }

    private static func read(_ name: String, _ records: SealedRecords) async -> Result<Entry?, LedgerError> {
        let found = await aside {
            Result { () throws(LedgerError) in
                try records.load([records.sealer.tenant(name)]).record(TenantRecord.self, at: 0)
            }
        }
        switch found {
        case .failure(let error): return .failure(error)
        case .success(nil): return .success(nil)
        case .success(let record?):
            guard let keys = try? await TenantKeys(json: record.keySet) else {
                return .failure(.damaged("a tenant's registered keys do not read"))
            }
            return .success(Entry(name: name, policy: record.policy, keys: keys))
        }
    }
}
