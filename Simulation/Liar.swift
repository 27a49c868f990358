import Primitives
import RecoveryProtocol
import TestSupport

/// What a malicious vault answers. It never counts, and it keeps what it was told.
final class Liar {
    private let world: World
    private var generator: SeededGenerator
    private var oldStatus: StatusReply?
    private var oldHead: KeptHead?
    private var sleepsUntilMilliseconds: UInt64 = 0

    init(_ world: World) {
        self.world = world
        generator = world.generator()
    }

    /// Nil: nothing at all.
    func answer(_ message: Message, truth: Reply) -> Reply? {
        if world.milliseconds < sleepsUntilMilliseconds { return nil }
        switch world.draw(0..<10) {
        case 0..<4: return remembering(truth)
        case 4:
            if world.chance(perMille: 100) { sleepsUntilMilliseconds = world.milliseconds + 6 * 3_600_000 }
            return nil
        case 5: return .refused(refusal(truth))
        default: return lie(truth, to: message)
        }
    }

    private func remembering(_ truth: Reply) -> Reply {
        if case .status(let status) = truth, oldStatus == nil || world.chance(perMille: 100) { oldStatus = status }
        if case .head(let head) = truth, oldHead == nil || world.chance(perMille: 50) { oldHead = head.kept }
        return truth
    }

    private func refusal(_ truth: Reply) -> Refusal {
        let time = Timestamp(unixSeconds: 1_800_000_000)
        let refusals: [Refusal] = [
            .malformed, .notRegistered, .unknownRegistration, .staleSerial(current: generator.next()),
            .destroyed(at: time),
            .tooEarly(notBefore: time.adding(seconds: 1 << 40)), .destructionPending(erasedAt: time), .oldKeyNeeded,
            .badSignature, .suspended, .unavailable,
        ]
        return world.pick(refusals) ?? .unavailable
    }

    private func lie(_ truth: Reply, to message: Message) -> Reply {
        if case .status(let status) = truth { return .status(lie(status)) }
        switch message.operation {
        case .evaluate(let request): return falseEvaluation(request, truth).map { .evaluated($0) } ?? truth
        case .confirm: return .confirmed(serial: generator.next(), attemptsLeft: 64)
        case .prepare: return .prepared(serial: generator.next() >> 1)
        case .activate: return .activated(serial: generator.next() >> 1)
        case .retire: return .retired(serial: generator.next() >> 1)
        case .delete: return .deleted(serial: generator.next() >> 1)
        case .forgive: return .forgiven(serial: generator.next() >> 1, attemptsLeft: 64)
        case .thaw: return .thawed(serial: generator.next() >> 1)
        case .setHead: return .headSet(serial: generator.next() >> 1)
        case .getHead: return oldHead(truth)
        case .status, .history, .requestDeletion: return truth
        }
    }

    /// An old one, none, or one of its own making.
    private func oldHead(_ truth: Reply) -> Reply {
        guard case .head(let reply) = truth else { return truth }
        let own = KeptHead(head: .random(using: &generator))
        return .head(HeadReply(serial: reply.serial, kept: world.pick([oldHead, nil, own]) ?? nil))
    }

    private func lie(_ status: StatusReply) -> StatusReply {
        if let oldStatus, world.chance(perMille: 400) { return oldStatus }
        let time = Timestamp(unixSeconds: 1_900_000_000)
        let states: [AccountState] = [
            .notRegistered, .active, .destructionPending(erasedAt: time), .destroyed(at: time),
        ]
        let isEmpty = world.chance(perMille: 300)
        return StatusReply(
            serial: world.chance(perMille: 500) ? status.serial : generator.next(), vaultTime: status.vaultTime,
            state: world.pick(states) ?? .active, attemptsLeft: UInt8(world.draw(0..<65)),
            attemptsPerVault: UInt8(world.draw(0..<65)),
            notBefore: world.chance(perMille: 300) ? time : Timestamp(unixSeconds: 0),
            held: isEmpty ? [] : status.held, record: isEmpty ? nil : status.record, certificates: [])
    }

    private func falseEvaluation(_ request: EvaluateRequest, _ truth: Reply) -> EvaluateReply? {
        let wrong = Evaluation(of: request.blindedElement, share: .random(using: &generator), using: &generator)
        guard case .evaluated(let reply) = truth else { return nil }
        let isKeyRight = world.chance(perMille: 700)
        return EvaluateReply(
            evaluation: wrong.element, proof: wrong.proof,
            shareKey: isKeyRight ? reply.shareKey : wrong.shareKey, envelope: reply.envelope, attemptsLeft: 9)
    }
}
