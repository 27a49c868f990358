import VaultCore

/// The vault's configuration as it was within the last second. Whoever asks without a sign-in, or with one of a tenant
/// that nobody knows, is answered from here.
final class ConfigurationCache: Sendable {
    private static let freshSeconds: UInt64 = 1

    private let kept: KeptReading<VaultConfiguration>

    init(records: SealedRecords, clock: @escaping @Sendable () -> Moment) {
        kept = KeptReading(freshSeconds: Self.freshSeconds, clock: clock) {
            await aside {
                Result { () throws(LedgerError) in try VaultAdministration(records: records).configuration() }
            }
        }
    }

    func configuration() async throws(LedgerError) -> VaultConfiguration { try await kept.value() }

    /// Whether the vault serves this tenant, compared byte by byte.
    func serves(_ tenant: String) async throws(LedgerError) -> Bool {
        Self.serves(tenant, try await configuration())
    }

    /// The same without a wait; nil if it must be read first.
    func servesFresh(_ tenant: String, at now: UInt64) -> Bool? {
        kept.fresh(at: now).map { Self.serves(tenant, $0) }
    }

    private static func serves(_ tenant: String, _ configuration: VaultConfiguration) -> Bool {
        configuration.tenants.contains { $0.utf8.elementsEqual(tenant.utf8) }
    }
}
