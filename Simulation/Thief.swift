import ByteCoding
import Primitives
import RecoveryProtocol
import TestSupport

/// Somebody with the account's token at every vault, who works together with the liars.
// One thread runs all of it, so it may be called Sendable.
final class Thief: @unchecked Sendable {
    private let world: World
    private let network: Network
    private let checks: Checks
    private let owner: Owner
    private let fleet: Fleet
    private let liars: [Int]
    private let key: SecretBytes
    private let isHasty: Bool
    /// What the thief would have in the owner's place.
    private var junk: PlainRegistration?
    private var generator: SeededGenerator

    init(world: World, network: Network, checks: Checks, owner: Owner, liars: [Int]) {
        self.world = world
        self.network = network
        self.checks = checks
        self.owner = owner
        self.liars = liars
        fleet = owner.fleet
        isHasty = world.chance(perMille: 500)
        generator = world.generator()
        key = .random(32, using: &generator)
    }

    func live() async {
        do {
            while true {
                try await world.sleep(seconds: isHasty ? world.draw(60..<20_000) : world.draw(3_600..<150_000))
                if world.isCalm { return }
                switch world.draw(0..<24) {
                case 20..<23: try await ask()
                case 23: try await askForDeletion()
                case 0..<12: try await guess()
                case 12..<14: try await hijack(id: nil)
                case 14..<16: try await hijack(id: owner.all.last?.id)
                case 16..<18: try await forge()
                default: try await equivocate()
                }
            }
        } catch { return }
    }

    private func status(_ vaults: [Int]) async throws -> [(vault: Int, reply: StatusReply)] {
        let questions = vaults.map { network.send(.status(StatusRequest()), of: owner.name, to: $0, from: .thief) }
        var replies: [(vault: Int, reply: StatusReply)] = []
        for (vault, question) in zip(vaults, questions) {
            if case .status(let reply) = try await network.reply(to: question) { replies.append((vault, reply)) }
        }
        return replies
    }

    private func send(_ operation: Operation, to vault: Int) {
        _ = network.send(operation, of: owner.name, to: vault, from: .thief)
    }

    /// One element to as many honest vaults as a complete guess needs, or another one to each, or one to all.
    private func guess() async throws {
        let honest = fleet.currentVaults.indices.filter { !liars.contains($0) }
        let replies = try await status(honest)
        let few = Array(world.shuffled(replies).prefix(fleet.threshold - liars.count))
        let isSpread = world.chance(perMille: 200)
        var element = newElement()
        let attempt = AttemptID.random(using: &generator)
        for (vault, reply) in world.chance(perMille: 800) ? few : replies {
            let held = reply.held.filter { $0.role == .active || $0.role == .previous }
            guard let id = world.pick(held)?.registrationID else { continue }
            if isSpread { element = newElement() }
            let request = Operation.evaluate(
                EvaluateRequest(
                    serial: reply.serial, registrationID: id, attemptID: attempt, blindedElement: element))
            send(request, to: vault)
            if world.chance(perMille: 200) { send(request, to: vault) }
        }
    }

    private func newElement() -> GroupElement {
        let element = Scalar.random(using: &generator).timesGenerator
        checks.isThiefs(element)
        return element
    }

    /// Another element under an attempt id that was charged already.
    private func equivocate() async throws {
        let attempt = AttemptID.random(using: &generator)
        for (vault, reply) in try await status(Array(fleet.currentVaults.indices)) {
            guard let id = reply.activeID else { continue }
            for _ in 0..<3 {
                send(
                    .evaluate(
                        EvaluateRequest(
                            serial: reply.serial, registrationID: id, attemptID: attempt,
                            blindedElement: newElement())),
                    to: vault)
            }
        }
    }

    /// Registers a key of the thief's own, under the owner's pending id or a new one.
    private func hijack(id: RegistrationID?) async throws {
        guard owner.isProtected else { return }
        let junk = try PlainRegistration(
            backupKey: key, password: SecretBytes(copying: [1]), fleet: fleet, name: owner.name, id: id,
            using: &generator)
        for (vault, reply) in try await status(Array(fleet.currentVaults.indices)) {
            let vaultID = fleet.currentVaults[vault].id
            guard let share = junk.share(for: vaultID) else { continue }
            send(.prepare(PrepareRequest(serial: reply.serial, record: junk.record, share: share)), to: vault)
            let context = SigningContext(
                fleetID: fleet.id, vaultID: vaultID, name: owner.name, serial: reply.serial)
            let signed = try SignedBytes.activate(context, recordHash: junk.recordHash)
            let replacement = try reply.activeID.map { old in
                let bytes = try SignedBytes.replace(context, oldRegistrationID: old, newRecordHash: junk.recordHash)
                return Replacement(oldRegistrationID: old, signature: junk.managementKey.sign(bytes))
            }
            world.after(milliseconds: 10_000) { [self] in
                send(
                    .activate(
                        ActivateRequest(
                            serial: reply.serial, recordHash: junk.recordHash,
                            signature: junk.managementKey.sign(signed),
                            replacement: replacement)),
                    to: vault)
            }
        }
    }

    /// Asks for a replacement without the key, and asks again for what waits.
    private func ask() async throws {
        guard owner.isProtected else { return }
        let made =
            try junk
            ?? PlainRegistration(
                backupKey: key, password: SecretBytes(copying: [1]), fleet: fleet, name: owner.name, using: &generator)
        junk = made
        for (vault, reply) in try await status(Array(fleet.currentVaults.indices)) {
            let vaultID = fleet.currentVaults[vault].id
            guard let share = made.share(for: vaultID) else { continue }
            send(.prepare(PrepareRequest(serial: reply.serial, record: made.record, share: share)), to: vault)
            let context = SigningContext(
                fleetID: fleet.id, vaultID: vaultID, name: owner.name, serial: reply.serial)
            let signed = try SignedBytes.activate(context, recordHash: made.recordHash)
            world.after(milliseconds: 10_000) { [self] in
                send(
                    .activate(
                        ActivateRequest(
                            serial: reply.serial, recordHash: made.recordHash,
                            signature: made.managementKey.sign(signed), replacement: nil)),
                    to: vault)
            }
        }
    }

    private func askForDeletion() async throws {
        for (vault, reply) in try await status(Array(fleet.currentVaults.indices)) {
            guard let id = reply.activeID ?? reply.ended?.registrationID else { continue }
            send(.requestDeletion(DeletionRequest(serial: reply.serial, registrationID: id)), to: vault)
        }
    }

    /// Confirm, Delete, Retire and heads under a key that is not the owner's.
    private func forge() async throws {
        for (vault, reply) in try await status(Array(fleet.currentVaults.indices)) {
            guard let id = reply.activeID else { continue }
            let own = managementKey(backupKey: key, registrationID: id)
            let context = SigningContext(
                fleetID: fleet.id, vaultID: fleet.currentVaults[vault].id, name: owner.name, serial: reply.serial)
            let receipts = owner.receipts.suffix(3) + [Receipt.random(using: &generator)]
            send(
                .confirm(
                    ConfirmRequest(
                        serial: reply.serial, registrationID: id, receipts: Array(receipts),
                        signature: own.sign(
                            try SignedBytes.confirm(context, registrationID: id, receipts: Array(receipts))))),
                to: vault)
            send(
                .delete(
                    DeleteRequest(
                        serial: reply.serial, registrationID: id,
                        signature: own.sign(try SignedBytes.delete(context, registrationID: id)))), to: vault)
            let head = SealedHead.random(using: &generator)
            send(
                .setHead(
                    SetHeadRequest(
                        serial: reply.serial, registrationID: id, head: head,
                        signature: own.sign(try SignedBytes.setHead(context, registrationID: id, head: head)))),
                to: vault)
            send(
                .getHead(
                    GetHeadRequest(
                        serial: reply.serial, registrationID: id,
                        signature: own.sign(try SignedBytes.getHead(context, registrationID: id)))), to: vault)
            send(
                .retire(
                    try SuccessionCertificate(
                        fleetID: fleet.id, name: owner.name, oldRegistrationID: id,
                        newRecordHash: .random(using: &generator), oldKey: own, newKey: own)), to: vault)
        }
    }

    /// What a liar was sent goes to another vault, under the thief's own token for it.
    func forward() {
        guard let liar = world.pick(liars), let message = network.someMessage(for: liar),
            let target = world.pick(Array(fleet.currentVaults.indices))
        else { return }
        _ = network.send(message.operation, of: owner.name, to: target, from: .thief)
    }
}
