import Synchronization
import VaultCore

/// The vault's configuration as it was within the last second. Whoever asks without a sign-in, or with one of a tenant
/// that nobody knows, is answered from here: a flood of them costs one read of the store in a second, and holds up no
/// attempt that is being charged.
final class ConfigurationCache: Sendable {
    private struct Entry: Sendable {
        let configuration: Result<VaultConfiguration, LedgerError>
        var readUptimeSeconds: UInt64
    }

    private static let freshSeconds: UInt64 = 1

    private let records: SealedRecords
    private let clock: @Sendable () -> Moment
    private let entry = Mutex<Entry?>(nil)

    init(records: SealedRecords, clock: @escaping @Sendable () -> Moment) {
        self.records = records
        self.clock = clock
    }

    /// A read that failed is remembered as long as one that did not.
    func configuration() throws(LedgerError) -> VaultConfiguration {
        let now = clock().uptimeSeconds
        let known = entry.withLock { entry -> Entry? in
            guard let known = entry, now < known.readUptimeSeconds + Self.freshSeconds else {
                // One caller reads; the others go on with what was known.
                entry?.readUptimeSeconds = now
                return nil
            }
            return known
        }
        if let known { return try known.configuration.get() }
        let read = Result { () throws(LedgerError) in try VaultAdministration(records: records).configuration() }
        entry.withLock { $0 = Entry(configuration: read, readUptimeSeconds: now) }
        return try read.get()
    }

    /// Whether the vault serves this tenant, compared byte by byte.
    func serves(_ tenant: String) throws(LedgerError) -> Bool {
        try configuration().tenants.contains { $0.utf8.elementsEqual(tenant.utf8) }
    }
}
