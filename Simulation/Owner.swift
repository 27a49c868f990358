import ByteCoding
import Primitives
import RecoveryProtocol
import TestSupport
import VaultCore

/// The device died, or the person put it away.
struct Cut: Error {}

/// A person with a key, passwords and a device; what they know and what they did.
// One thread runs all of it, so it may be called Sendable.
final class Owner: @unchecked Sendable {
    static let tenant = "chat"

    let world: World
    let network: Network
    let fleet: Fleet
    let name: AccountName
    let backupKey: SecretBytes
    var generator: SeededGenerator
    /// Every registration that was ever begun, in that order.
    private(set) var all: [PlainRegistration] = []
    /// Of every attempt that this person ever made.
    private(set) var receipts: [Receipt] = []
    private(set) var attempts: [AttemptID] = []
    private var retired: [RegistrationID] = []
    private var previous: [(id: RegistrationID, vault: Int)] = []
    var hasDeleted = false
    /// A registration was acknowledged by enough vaults, t honest ones among them, and was not deleted since.
    var isProtected = false
    /// What the device noted (`RegistrationNote.stands`).
    var standing: RegistrationName?
    /// As `UndeliveredShares`: what the vaults in `missing` still lack.
    var undelivered: (registration: PlainRegistration, missing: [Int], certificates: [SuccessionCertificate])?
    private(set) var recoveries = 0
    /// What was said of every snapshot, the oldest first.
    private(set) var heads: [SealedHead] = []
    /// By vault: the newest head that it acknowledged and has not let go of since by right; −1 if none.
    private(set) var acknowledgedNumbers: [Int]
    private let honest: [Bool]

    init(world: World, network: Network, fleet: Fleet, account: String, honest: [Bool]) throws {
        self.world = world
        self.network = network
        self.fleet = fleet
        self.honest = honest
        name = try AccountName(tenant: Self.tenant, account: account)
        acknowledgedNumbers = honest.map { _ in -1 }
        generator = world.generator()
        backupKey = .random(32, using: &generator)
    }

    func made(_ hash: RecordHash) -> Bool { all.contains { $0.recordHash == hash } }
    func registration(_ id: RegistrationID) -> PlainRegistration? { all.first { $0.id == id } }
    func hasRetired(_ id: RegistrationID) -> Bool { retired.contains(id) }
    func key(_ id: RegistrationID) -> SigningKey { managementKey(backupKey: backupKey, registrationID: id) }
    func retires(_ id: RegistrationID) { retired.append(id) }
    func tries(_ attempt: PasswordAttempt) {
        receipts.append(attempt.receipt)
        attempts.append(attempt.request(serial: 0).attemptID)
    }
    func recovered() { recoveries += 1 }

    func newHead() -> (number: Int, head: SealedHead) {
        heads.append(.random(using: &generator))
        return (heads.count - 1, heads[heads.count - 1])
    }

    func acknowledged(_ number: Int, at vault: Int) {
        acknowledgedNumbers[vault] = max(acknowledgedNumbers[vault], number)
    }

    /// The registration went, and the head with it.
    func headWent(at vault: Int) { acknowledgedNumbers[vault] = -1 }

    func honestCount(_ vaults: [Int]) -> Int { vaults.count { honest[$0] } }

    /// A vault keeps the registration beside its successor, under a new budget.
    func becamePrevious(_ id: RegistrationID, at vault: Int) { previous.append((id, vault)) }

    /// How many budgets a registration has lived under: its own, and one for each change that was begun.
    func budgets(of id: RegistrationID) -> Int {
        1 + (honest.indices.map { vault in previous.count { $0.id == id && $0.vault == vault } }.max() ?? 0)
    }

    /// Too many vaults destroyed their shares, or carried out what was asked for without the key and not called off for
    /// the whole delay: there is nothing left to be lost.
    func losesToStrangers() { isProtected = false }

    func newRegistration() throws -> PlainRegistration {
        let password = SecretBytes(copying: Array("password \(all.count)".utf8))
        let new = try PlainRegistration(
            backupKey: backupKey, password: password, fleet: fleet, name: name, using: &generator)
        all.append(new)
        return new
    }

    // MARK: Life

    /// What a person does in a month.
    func live() async {
        while !world.isCalm {
            do {
                try await act()
                try await world.sleep(seconds: pause())
            } catch is Over {
                return
            } catch {
                // A device that died is switched on again.
                do { try await world.sleep(seconds: pause()) } catch { return }
            }
        }
    }

    private func pause() -> Int { world.chance(perMille: 500) ? world.draw(1..<600) : world.draw(600..<100_000) }

    private func act() async throws {
        if !isProtected, undelivered == nil, world.chance(perMille: 700) { return try await register() }
        switch world.draw(0..<115) {
        case 0..<30: try await recover(isTypo: false)
        case 30..<42: try await recover(isTypo: true)
        case 42..<70: try await register()
        case 70..<85: try await deliver()
        case 85..<95: try await look()
        case 100..<115: try await backUp()
        default: try await delete()
        }
    }

    /// A second device, or a new phone: recovers, and goes on with the backups.
    func liveOnAnotherDevice() async {
        do {
            while true {
                try await world.sleep(seconds: world.draw(3_600..<200_000))
                if world.isCalm { return }
                do {
                    if world.chance(perMille: 300) {
                        try await backUp()
                    } else {
                        try await recover(isTypo: world.chance(perMille: 200))
                    }
                } catch is Cut {}
            }
        } catch { return }
    }

    func mayBeCut() throws {
        if !world.isCalm, world.chance(perMille: 60) {
            world.note("\(name.account) is cut short")
            throw Cut()
        }
    }
}
