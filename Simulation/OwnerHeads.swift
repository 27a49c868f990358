import Primitives
import RecoveryProtocol

/// What an owner's devices do about heads, as `FleetClient+Heads`. A head's number is its place in `heads`.
extension Owner {
    private static let roundsMax = 3

    /// Writes a snapshot, and has the vaults keep its head. Two devices may do so at once.
    func backUp() async throws {
        let survey = try await survey()
        let (number, head) = newHead()
        var left = survey.answered.filter { isManaged($0.reply) }.map { ($0.vault, $0.reply.serial) }
        for _ in 0..<Self.roundsMax where !left.isEmpty {
            let seen = try await heads(at: left, survey)
            for answer in seen where self.number(of: answer.reply.kept) >= number {
                acknowledged(number, at: answer.vault)
            }
            let lacking = seen.filter { self.number(of: $0.reply.kept) < number }
            var again: [(Int, UInt64)] = []
            for (vault, reply) in try await set(head, at: lacking.map { ($0.vault, $0.reply.serial) }, survey) {
                switch reply {
                case .headSet: acknowledged(number, at: vault)
                case .refused(.staleSerial(let current)): again.append((vault, current))
                default: continue
                }
            }
            left = again
        }
        world.note("\(name.account) backed up: head \(number)")
    }

    private func set(
        _ head: SealedHead, at vaults: [(vault: Int, serial: UInt64)], _ survey: Survey
    ) async throws -> [(vault: Int, reply: Reply?)] {
        // Not `signed(at:)`: a serial that moved on may mean a larger head.
        try await ask(
            vaults.compactMap { vault, serial in
                guard let id = survey.reply(vault)?.activeID else { return nil }
                let context = SigningContext(
                    fleetID: fleet.id, vaultID: fleet.currentVaults[vault].id, name: name, serial: serial)
                let signed = try SignedBytes.setHead(context, registrationID: id, head: head)
                return (
                    vault,
                    .setHead(
                        SetHeadRequest(serial: serial, registrationID: id, head: head, signature: key(id).sign(signed)))
                )
            })
    }

    private func heads(
        at vaults: [(vault: Int, serial: UInt64)], _ survey: Survey
    ) async throws -> [(vault: Int, reply: HeadReply)] {
        let answers = try await signed(at: vaults) { vault, context in
            guard let id = survey.reply(vault)?.activeID else { return nil }
            return .getHead(
                GetHeadRequest(
                    serial: context.serial, registrationID: id,
                    signature: key(id).sign(try SignedBytes.getHead(context, registrationID: id))))
        }
        return answers.compactMap { vault, reply in
            guard case .head(let head) = reply else { return nil }
            return (vault, head)
        }
    }

    /// On a new phone. If w vaults acknowledged a head and r answer, with w + r ≥ n + t, one of those that answer is
    /// honest and has it, or a later one, whatever t − 1 liars say.
    func readHeads() async throws {
        let survey = try await survey()
        let answers = try await heads(
            at: survey.answered.filter { isManaged($0.reply) }.map { ($0.vault, $0.reply.serial) }, survey)
        let asked = answers.count { $0.reply.kept?.isRestored != true }
        let numbers = answers.map { number(of: $0.reply.kept) }
        let found = (world.plant == .firstHeadBelieved ? numbers.first : numbers.max()) ?? -1
        let owed = heads.indices.last { number in
            acknowledgedNumbers.count { $0 >= number } + asked >= fleet.current.count + fleet.threshold
        }
        world.note("\(name.account) reads head \(found) at \(asked) vaults, and \(owed ?? -1) is owed")
        if let owed, found < owed {
            world.fail(.heads, "\(name.account) is shown head \(found), and enough vaults acknowledged \(owed)")
        }
    }

    /// −1 if there is none, or none that this person's key opens.
    func number(of kept: KeptHead?) -> Int {
        kept.flatMap { kept in heads.lastIndex { $0 == kept.head } } ?? -1
    }
}
