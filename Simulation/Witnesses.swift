import Primitives
import RecoveryProtocol
import VaultCore
import VaultServer

/// Four witnesses of one vault, of which one may be put back: the real ones, over a network that loses.
// One thread runs all of it, so it may be called Sendable.
final class Witnesses: @unchecked Sendable {
    private static let count = 4
    private static let faultyMax = 1

    let settings: WitnessSettings
    fileprivate var services: [WitnessService] = []
    private var memories: [SlipMemory] = []
    private let keys: [SigningKey]
    /// The one that is put back.
    private let faulty: Int
    private var old: [WatchedVault] = []

    init?(_ world: World, watching identity: SigningKey) {
        var generator = world.generator()
        keys = (0..<Self.count).map { _ in SigningKey.random(using: &generator) }
        faulty = world.draw(0..<Self.count)
        let witnesses = keys.enumerated().map { Witness(key: $1.verifyingKey, url: "http://\($0).invalid") }
        guard let settings = WitnessSettings(witnesses: witnesses, faultyMax: Self.faultyMax) else { return nil }
        self.settings = settings
        for key in keys {
            let memory = SlipMemory()
            guard let service = try? WitnessService(key: key, memory: memory) else { return nil }
            guard (try? service.watch(identity.verifyingKey)) != nil else { return nil }
            memories.append(memory)
            services.append(service)
        }
    }

    func keepCopy() { old = memories[faulty].kept }

    /// The faulty one forgets what it saw since the copy; with `all`, more than the vault can bear.
    func putBack(all: Bool = false) {
        guard !old.isEmpty else { return }
        for index in all ? Array(services.indices) : [faulty] {
            memories[index].kept = old
            if let service = try? WitnessService(key: keys[index], memory: memories[index]) {
                services[index] = service
            }
        }
    }
}

/// What a witness has on its medium.
// One thread runs all of it, so it may be called Sendable.
private final class SlipMemory: WitnessMemory, @unchecked Sendable {
    var kept: [WatchedVault] = []

    func vaults() throws(AnchorError) -> [WatchedVault] { kept }

    func keep(_ vault: WatchedVault) throws(AnchorError) {
        kept.removeAll { $0.vaultID == vault.vaultID }
        kept.append(vault)
    }
}

/// One process's way to the witnesses of its vault: questions and answers are lost, and the process may die there.
// One thread runs all of it, so it may be called Sendable.
final class WitnessRoad: WitnessTransport, @unchecked Sendable {
    private let witnesses: Witnesses
    private let process: DiskHandle
    private let world: World

    init(_ witnesses: Witnesses, of process: DiskHandle, world: World) {
        self.witnesses = witnesses
        self.process = process
        self.world = world
    }

    func exchange(
        _ request: [UInt8], with asked: [Witness], until isEnough: ([[UInt8]?]) -> Bool
    ) -> [[UInt8]?] {
        var answers = [[UInt8]?](repeating: nil, count: asked.count)
        for index in world.isCalm ? Array(asked.indices) : world.shuffled(Array(asked.indices)) {
            if process.isDead { return answers.map { _ in nil } }
            let isLost = !world.isCalm && world.chance(perMille: 20)
            let isAnswerLost = !world.isCalm && world.chance(perMille: 20)
            if isLost { continue }
            let answer = try? witnesses.services[index].answer(request)
            if !isAnswerLost { answers[index] = answer }
            if !world.isCalm, world.chance(perMille: 2) { process.die() }
            if isEnough(answers) { break }
        }
        return process.isDead ? answers.map { _ in nil } : answers
    }
}
