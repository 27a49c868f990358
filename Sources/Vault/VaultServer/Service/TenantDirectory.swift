import Synchronization
import VaultCore

/// Tenants with their keys read, for a few seconds at a time: a tenant that was added or changed while the vault
/// serves is seen without a restart.
final class TenantDirectory: Sendable {
    struct Entry: Sendable {
        let policy: TenantPolicy
        let keys: TenantKeys
        fileprivate let readUptimeSeconds: UInt64
    }

    private static let freshSeconds: UInt64 = 5

    private let records: SealedRecords
    private let configuration: ConfigurationCache
    private let clock: @Sendable () -> Moment
    /// By the name's bytes: Swift's own equality takes two spellings of one character for the same tenant.
    private let entries = Mutex<[[UInt8]: Entry]>([:])

    init(records: SealedRecords, configuration: ConfigurationCache, clock: @escaping @Sendable () -> Moment) {
        self.records = records
        self.configuration = configuration
        self.clock = clock
    }

    /// Nil if there is no such tenant. Names that are unknown are not remembered, for strangers choose them; they are
    /// not looked up in the store either.
    func tenant(_ name: String) async throws(LedgerError) -> Entry? {
        guard try configuration.serves(name) else { return nil }
        let now = clock().uptimeSeconds
        let bytes = Array(name.utf8)
        if let known = entries.withLock({ $0[bytes] }), now < known.readUptimeSeconds + Self.freshSeconds {
            return known
        }
        let view = try records.load([records.sealer.tenant(name)])
        guard let record = try view.record(TenantRecord.self, at: 0) else {
            entries.withLock { $0[bytes] = nil }
            return nil
        }
        let keys: TenantKeys
        do { keys = try await TenantKeys(json: record.keySet) } catch {
            throw .damaged("a tenant's registered keys do not read")
        }
        let entry = Entry(policy: record.policy, keys: keys, readUptimeSeconds: now)
        entries.withLock { $0[bytes] = entry }
        return entry
    }
}
