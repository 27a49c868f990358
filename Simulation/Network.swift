import ByteCoding
import Primitives
import RecoveryProtocol

enum Sender: Equatable {
    case owner, thief, liar
}

/// What was put into one sealed request: a vault, a token for it, and an operation.
struct Message {
    let number: Int
    let vault: Int
    /// The vault that the token is for.
    let tokenVault: Int
    let name: AccountName
    let sender: Sender
    let operation: Operation
    /// Tells operations with the same contents for the same vault.
    let contents: [UInt8]
    fileprivate let question: Question
}

/// One request that somebody waits for.
final class Question {
    fileprivate(set) var reply: Reply?
    fileprivate let waiter = Waiter()
}

/// Loses, delays, repeats and reorders; keeps everything that it ever carried, and brings it again when it likes.
final class Network {
    private static let patienceMilliseconds = 30_000
    private static let keptMax = 400

    private let world: World
    var deliver: (Message) -> Void = { _ in }
    private var kept: [Message] = []
    private(set) var carried = 0

    init(_ world: World) { self.world = world }

    func send(
        _ operation: Operation, of name: AccountName, to vault: Int, tokenVault: Int? = nil, from sender: Sender
    ) -> Question {
        let question = Question()
        let contents = (try? operation.encoded()) ?? []
        let message = Message(
            number: carried, vault: vault, tokenVault: tokenVault ?? vault, name: name, sender: sender,
            operation: operation, contents: sha256([UInt8(vault)] + contents), question: question)
        carried += 1
        keep(message)
        carry(message)
        world.after(milliseconds: Self.patienceMilliseconds) { question.waiter.wake() }
        return question
    }

    /// Nil if nothing came back in time.
    func reply(to question: Question) async throws(Over) -> Reply? {
        try await world.join(question.waiter)
        return question.reply
    }

    private func keep(_ message: Message) {
        if kept.count < Self.keptMax {
            kept.append(message)
        } else {
            kept[world.draw(0..<Self.keptMax)] = message
        }
    }

    private func carry(_ message: Message) {
        if world.isCalm {
            world.after(milliseconds: 10) { self.deliver(message) }
            return
        }
        if world.chance(perMille: 80) { return }
        let isLate = world.chance(perMille: 30)
        world.after(milliseconds: world.draw(1..<(isLate ? 3_600_000 : 3_000))) { self.deliver(message) }
        if world.chance(perMille: 60) {
            world.after(milliseconds: world.draw(1..<60_000)) { self.deliver(message) }
        }
    }

    /// A reply opens for whoever sent the request, and for nobody else.
    func answer(_ message: Message, _ reply: Reply) {
        if !world.isCalm, world.chance(perMille: 80) { return }
        world.after(milliseconds: world.isCalm ? 10 : world.draw(1..<3_000)) {
            guard message.question.reply == nil, !message.question.waiter.isAwake else { return }
            message.question.reply = reply
            message.question.waiter.wake()
        }
    }

    // MARK: Attacks

    /// Brings an old message again, one of the newest more often.
    func replay() {
        guard !kept.isEmpty else { return }
        let newest = kept.suffix(20)
        guard let message = world.chance(perMille: 500) ? world.pick(Array(newest)) : world.pick(kept) else { return }
        deliver(message)
    }

    func someMessage(for vault: Int) -> Message? { world.pick(kept.suffix(60).filter { $0.vault == vault }) }

    func someMessage() -> Message? { world.pick(kept) }
}

/// Foundation has an `Operation` of its own.
typealias VaultOperation = Operation
