import ByteCoding
import Coffer
import Foundation
import Logging
import Primitives
import RecordStores
import RecoveryProtocol
import SecurityModules
import Synchronization
import VaultCore
import VaultServer

/// Five real vaults on SQLite, in this process; the transport hands the bytes over.
final class RealFleet: VaultTransport {
    static let start: UInt64 = 1_800_000_000

    let fleet: Fleet
    let services: [VaultService]
    private let stores: [SealedRecords]
    private let issuer: TokenIssuer
    private let folder: URL
    private let down = Mutex<[UInt8]>([])
    private let lost = Mutex(LostReplies())

    private struct LostReplies {
        var passing = 0
        var losing = 0
        /// Whether each vault loses one at most, whatever order the vaults answer in.
        var isSpread = false
        var at: [UInt8] = []

        mutating func takes(_ vault: UInt8) -> Bool {
            guard passing == 0 else {
                passing -= 1
                return false
            }
            guard losing > 0, !(isSpread && at.contains(vault)) else { return false }
            losing -= 1
            at.append(vault)
            return true
        }
    }

    init(waits: [UInt32] = []) async throws {
        var generator = SystemRandomNumberGenerator()
        let issuer = TokenIssuer.random(using: &generator)
        self.issuer = issuer
        folder = FileManager.default.temporaryDirectory.appending(path: "coffer-fleet-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
        var members: [Fleet.Vault] = []
        var stores: [SealedRecords] = []
        for index in 1...5 as ClosedRange<UInt8> {
            let store = try SQLiteRecordStore(
                path: folder.appending(path: "vault\(index).sqlite").path, creating: true)
            let records = SealedRecords(
                store: store, dataKey: .random(RecordSealer.dataKeyBytes, using: &generator),
                anchor: try FileAnchor.create(path: folder.appending(path: "anchor\(index)").path))
            let identity = try VaultAdministration(records: records).create(name: "v\(index)", using: &generator)
            members.append(Fleet.Vault(index: index, identityKey: identity, urls: ["http://v\(index).invalid"]))
            stores.append(records)
        }
        let fleet = try Fleet(
            id: .random(using: &generator), promisedTotal: 10, vaults: members,
            generations: [.init(version: 1, threshold: 3, indices: [1, 2, 3, 4, 5])])
        self.fleet = fleet
        var policy = TenantPolicy()
        policy.waitsSeconds = waits
        var services: [VaultService] = []
        let clock = Clock()
        for records in stores {
            let administration = VaultAdministration(records: records)
            try administration.setFleet(fleet)
            try administration.setTenant(TenantRecord(name: "chat", keySet: issuer.keySet, policy: policy))
            services.append(
                try await VaultService(
                    records: records, clock: { clock.now },
                    logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }))
        }
        self.services = services
        self.stores = stores
        self.clock = clock
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    final class Clock: Sendable {
        private let passed = Mutex<UInt64>(0)
        var now: Moment {
            let passed = passed.withLock { $0 }
            return Moment(wallSeconds: RealFleet.start + passed, uptimeSeconds: passed)
        }
        func pass(seconds: UInt64) { passed.withLock { $0 += seconds } }
    }

    let clock: Clock

    /// As a restore from a backup does it: the account's record comes back frozen.
    func freeze(_ indices: UInt8...) throws {
        var generator = SystemRandomNumberGenerator()
        try edit(indices) { $0.freeze(nonce: .random(using: &generator), batchesMissed: 9, drawn: 0) }
    }

    /// As a liar would have it that serves an older head than it acknowledged.
    func putHeadBack(_ head: SealedHead, at indices: [UInt8]) throws {
        try edit(indices) { $0.head = KeptHead(head: head) }
    }

    private func edit(_ indices: [UInt8], account: String = "alice", _ body: (inout AccountRecord) -> Void) throws {
        var generator = SystemRandomNumberGenerator()
        for index in indices {
            let records = stores[Int(index) - 1]
            let key = records.sealer.account(try AccountName(tenant: "chat", account: account))
            let view = try records.load([key])
            guard var record = try view.account(at: 0) else { continue }
            body(&record)
            try records.commit(
                [SealedRecords.Change(index: 0, value: record)], time: view.time, on: view, using: &generator)
        }
    }

    func takeDown(_ indices: UInt8...) { takeDown(indices) }
    func takeDown(_ indices: [UInt8]) { down.withLock { $0 = indices } }

    /// Drops this many replies to messages, after letting some pass; spread: at most one of each vault.
    func loseReplies(_ count: Int, after passing: Int = 0, spread: Bool = false) {
        lost.withLock { $0 = LostReplies(passing: passing, losing: count, isSpread: spread) }
    }

    private func service(_ vault: Fleet.Vault) throws(VaultTransportError) -> VaultService {
        guard !down.withLock({ $0.contains(vault.index) }) else { throw .unreachable("no connection") }
        guard let service = services.first(where: { $0.vaultID == vault.id }) else { throw .unreachable("unknown") }
        return service
    }

    func announcement(of vault: Fleet.Vault) async throws(VaultTransportError) -> [UInt8] {
        do { return try await service(vault).keyAnnouncement() } catch { throw .unreachable("no connection") }
    }

    func send(_ message: [UInt8], to vault: Fleet.Vault) async throws(VaultTransportError) -> [UInt8] {
        let service = try service(vault)
        let reply: [UInt8]
        do { reply = try await service.handle(message) } catch { throw .refused(status: 400) }
        if lost.withLock({ $0.takes(vault.index) }) { throw .unreachable("the reply was lost") }
        return reply
    }

    func client(
        account: String = "alice", fleet: Fleet? = nil, transport: (any VaultTransport)? = nil,
        pause: @escaping VaultPause = { _ in }
    ) throws -> FleetClient {
        let (issuer, clock) = (issuer, clock)
        return FleetClient(
            fleet: fleet ?? self.fleet, name: try AccountName(tenant: "chat", account: account),
            transport: transport ?? self,
            tokens: { vault in
                Array(
                    issuer.token(
                        tenant: "chat", account: account, vaultID: vault.id,
                        issuedSeconds: clock.now.wallSeconds, lifetimeSeconds: 3600
                    ).utf8)
            },
            pause: pause,
            now: { Timestamp(unixSeconds: clock.now.wallSeconds) })
    }
}

/// Lets so many messages through, and none after them but to one vault, if any.
final class CutTransport: VaultTransport {
    private let fleet: RealFleet
    private let left: Mutex<Int>

    private let reachable: UInt8?

    init(_ fleet: RealFleet, after count: Int, but reachable: UInt8? = nil) {
        self.fleet = fleet
        self.reachable = reachable
        left = Mutex(count)
    }

    func announcement(of vault: Fleet.Vault) async throws(VaultTransportError) -> [UInt8] {
        try await fleet.announcement(of: vault)
    }

    func send(_ message: [UInt8], to vault: Fleet.Vault) async throws(VaultTransportError) -> [UInt8] {
        let isCut = left.withLock { left in
            left -= 1
            return left < 0
        }
        if isCut, vault.index != reachable { throw .unreachable("cut") }
        return try await fleet.send(message, to: vault)
    }
}
