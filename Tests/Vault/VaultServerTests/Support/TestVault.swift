import ByteCoding
import Logging
import Primitives
import RecordStores
import RecoveryProtocol
import Synchronization
import VaultCore
import VaultServer

/// A clock that the test sets.
final class TestClock: Sendable {
    private let moment = Mutex(Moment(wallSeconds: 1_800_000_000, uptimeSeconds: 0))

    var now: Moment { moment.withLock { $0 } }
    func pass(seconds: UInt64) {
        moment.withLock {
            $0.wallSeconds += seconds
            $0.uptimeSeconds += seconds
        }
    }
    func setWall(seconds: UInt64) { moment.withLock { $0.wallSeconds = seconds } }
}

/// One vault of its own fleet of one, the tenant `chat`, and an issuer of its tokens.
final class TestVault: Sendable {
    static let tenant = "chat"

    let store: any RecordStore
    let anchor: any Anchor
    let dataKey: SecretBytes
    let clock: TestClock
    let fleet: Fleet
    let issuer: TokenIssuer
    let service: VaultService

    var records: SealedRecords { SealedRecords(store: store, dataKey: dataKey, anchor: anchor) }
    var vaultID: VaultID { service.vaultID }

    init(
        store: any RecordStore = MemoryRecordStore(), anchor: any Anchor = MemoryAnchor(),
        policy: TenantPolicy = .withoutWaits(budget: 10), clock: TestClock = TestClock(), logger: Logger = .silent
    ) async throws {
        var generator = SystemRandomNumberGenerator()
        self.store = store
        self.anchor = anchor
        self.clock = clock
        dataKey = .random(RecordSealer.dataKeyBytes, using: &generator)
        issuer = .random(using: &generator)
        let records = SealedRecords(store: store, dataKey: dataKey, anchor: anchor)
        let administration = VaultAdministration(records: records)
        let identity = try administration.create(name: "test", using: &generator)
        fleet = try Fleet(
            id: .random(using: &generator), promisedTotal: 10,
            vaults: [Fleet.Vault(index: 1, identityKey: identity, urls: ["http://localhost"])],
            generations: [Fleet.Generation(version: 1, threshold: 1, indices: [1])])
        try administration.setFleet(fleet)
        try administration.setTenant(TenantRecord(name: Self.tenant, keySet: issuer.keySet, policy: policy))
        service = try await VaultService(records: records, clock: { clock.now }, logger: logger)
    }

    /// The same vault as another process would open it.
    func reopened() async throws -> VaultService {
        try await VaultService(records: records, clock: { [clock] in clock.now }, logger: .silent)
    }

    func token(_ account: String) -> [UInt8] {
        Array(
            issuer.token(
                tenant: Self.tenant, account: account, vaultID: vaultID, issuedSeconds: clock.now.wallSeconds,
                lifetimeSeconds: 3600
            ).utf8)
    }
}

extension TenantPolicy {
    static func withoutWaits(budget: UInt8) -> TenantPolicy {
        var policy = TenantPolicy()
        policy.budget = budget
        policy.waitsSeconds = []
        return policy
    }
}

extension Logger {
    static var silent: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
}

/// Everything that was logged, as one text.
final class RecordingLog: Sendable {
    private let lines = Mutex<[String]>([])

    var text: String { lines.withLock { $0.joined(separator: "\n") } }
    var logger: Logger { Logger(label: "test") { _ in Handler(log: self) } }

    private struct Handler: LogHandler {
        let log: RecordingLog
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            log.lines.withLock { $0.append("\(event.message) \(event.metadata ?? [:])") }
        }
    }
}
