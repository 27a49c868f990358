import Primitives
import RecoveryProtocol
import TestSupport
import VaultCore

/// One seed from beginning to end.
struct Outcome {
    let seed: UInt64
    var breach: Breach?
    let digest: [UInt8]
    let messages: Int
    let recoveries: Int
    let registrations: Int
}

/// A fleet, the people who use it and the people who attack it, for some days, and then a calm week in which all that
/// was promised must work.
final class Run {
    private static let stormDays = 4..<16
    private let world: World
    private let network: Network
    private var vaults: [SimulatedVault] = []
    private var owners: [Owner] = []
    private var thieves: [Thief] = []
    private let checks: Checks
    private let fleet: Fleet
    private let liars: [Int]
    /// Neither liars nor ever restored from a copy.
    private let honest: [Int]

    init(_ seed: UInt64, _ settings: Settings) throws {
        let world = World(seed, settings)
        self.world = world
        network = Network(world)
        let count = [1, 3, 3, 3, 5, 5, 7][world.draw(0..<7)]
        var generator = world.generator()
        let identities = (0..<count).map { _ in SecretBytes.random(SigningKey.seedBytes, using: &generator) }
        fleet = try Fleet(
            id: .random(using: &generator), promisedTotal: 10,
            vaults: identities.enumerated().map { position, seed in
                Fleet.Vault(
                    index: UInt8(position + 1), identityKey: SigningKey(seed: seed).verifyingKey,
                    urls: ["http://localhost"])
            },
            generations: [
                Fleet.Generation(
                    version: 1, threshold: UInt8((count + 1) / 2), indices: (1...UInt8(count)).map { $0 })
            ])
        liars = Array(world.shuffled(Array(0..<count)).prefix(world.draw(0..<fleet.threshold))).sorted()
        var policy = TenantPolicy()
        if world.chance(perMille: 600) { policy.waitsSeconds = [] }
        if world.chance(perMille: 500) { policy.graceSeconds = 6 * 3600 }
        if world.chance(perMille: 500) { policy.replacementDelaySeconds = UInt32(world.draw(1..<5)) * 86_400 }
        let lying = liars
        let others = (0..<count).filter { !lying.contains($0) }
        let isPlanted = world.plant == .thawNotNeeded
        let mayRestore = lying.count + 1 < fleet.threshold && (world.chance(perMille: 500) || isPlanted)
        let restorable = mayRestore ? world.pick(others) : nil
        honest = others.filter { $0 != restorable }
        checks = Checks(world, fleet: fleet, corrupt: count - honest.count, policy: policy)
        for (index, identity) in identities.enumerated() {
            vaults.append(
                try SimulatedVault(
                    world: world, index: index, fleet: fleet, identity: identity, policy: policy, network: network,
                    checks: checks, liar: liars.contains(index) ? Liar(world) : nil,
                    isRestorable: index == restorable))
        }
        try people()
    }

    private func people() throws {
        let honest = vaults.map { vault in self.honest.contains(vault.index) }
        for account in ["anna", "bela"] {
            let owner = try Owner(world: world, network: network, fleet: fleet, account: account, honest: honest)
            owners.append(owner)
            if world.chance(perMille: 700) {
                thieves.append(Thief(world: world, network: network, checks: checks, owner: owner, liars: liars))
            }
        }
        checks.watch(owners, vaults)
        network.deliver = { [unowned self] in vaults[$0.vault].receive($0) }
    }

    func perform() -> Outcome {
        world.note("n = \(fleet.current.count), liars \(liars), \(thieves.count) thieves")
        if world.plant == .systemRandomness { world.note("\(UInt64.random(in: 0...(.max)))") }
        storm()
        world.run(seconds: world.draw(Self.stormDays) * 86_400)
        calm()
        world.end()
        checks.forget()
        return Outcome(
            seed: world.seed, breach: world.breach, digest: world.digest, messages: network.carried,
            recoveries: owners.map(\.recoveries).reduce(0, +), registrations: owners.map(\.all.count).reduce(0, +))
    }

    // MARK: The storm

    private func storm() {
        for owner in owners {
            world.spawn { await owner.live() }
            world.spawn { await owner.liveOnAnotherDevice() }
        }
        for thief in thieves { world.spawn { await thief.live() } }
        let isStormy: () -> Bool = { [world] in !world.isCalm }
        for vault in vaults {
            world.every(seconds: 3_000..<30_000, while: { [world] in !world.isOver }) { vault.settle() }
            world.every(seconds: 20_000..<400_000, while: isStormy) { vault.crash() }
            world.every(seconds: 50_000..<600_000, while: isStormy) { vault.startRival() }
            world.every(seconds: 10_000..<200_000, while: isStormy) { vault.keepCopy() }
            world.every(seconds: 100_000..<900_000, while: isStormy) { vault.putStoreBack() }
            let often = world.plant == .thawNotNeeded ? 50_000..<200_000 : 100_000..<900_000
            world.every(seconds: often, while: isStormy) { vault.restore() }
            world.every(seconds: 50_000..<900_000, while: isStormy) { [world] in
                vault.clock.wrongBySeconds = Int64(world.draw(-400_000..<400_000))
            }
        }
        world.every(seconds: 100..<10_000, while: isStormy) { [network] in network.replay() }
        for thief in thieves { world.every(seconds: 1_000..<60_000, while: isStormy) { thief.forward() } }
    }

    // MARK: The calm

    /// Everything is up and nothing is lost; liars go on lying.
    private func calm() {
        guard world.breach == nil else { return }
        world.isCalm = true
        for vault in vaults {
            vault.clock.wrongBySeconds = max(vault.clock.wrongBySeconds, 0)
            vault.repair()
            vault.start()
        }
        // The longest wait before an attempt is a day.
        world.run(seconds: 30 * 3600)
        for owner in owners where world.breach == nil { mustRecover(owner) }
        for owner in owners where world.breach == nil {
            world.spawn { try? await owner.readHeads() }
            world.run(seconds: 3600)
        }
        world.run(seconds: 5 * 86_400)
        if world.breach == nil { checks.checkDestruction() }
    }

    /// Whoever knows the password, with attempts left and t honest vaults up, recovers.
    private func mustRecover(_ owner: Owner) {
        guard owner.isProtected, isRecoverable(owner) else { return }
        let before = owner.recoveries
        world.spawn {
            // A liar may spoil a Status; the person tries again.
            for _ in 0..<6 where owner.recoveries == before {
                do { try await owner.recover(isTypo: false) } catch { return }
            }
        }
        world.run(seconds: 3600)
        if owner.recoveries == before { world.fail(.recovers, "\(owner.name.account) cannot recover") }
    }

    /// At least t honest vaults hold one registration as active, with an attempt left and no wait. Where guesses took
    /// what stood before, it may be one that was just taken back: no client uses what a certificate ends.
    private func isRecoverable(_ owner: Owner) -> Bool {
        let records = checks.honest.compactMap { $0.account(owner.name) }
        let ended = checks.isLostToGuesses(owner) ? records.flatMap(\.certificates).map(\.oldRegistrationID) : []
        return owner.all.contains { made in
            !ended.contains(made.id)
                && records.count { $0.active?.recordHash == made.recordHash && $0.attemptsLeft > 0 } >= fleet.threshold
        }
    }
}
