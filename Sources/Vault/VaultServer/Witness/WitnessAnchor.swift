import ByteCoding
package import Primitives
import RecoveryProtocol
package import VaultCore

/// Carries a vault's question to its witnesses.
package protocol WitnessTransport: Sendable {
    /// Sends the same bytes to all of them at once, and returns what each has answered (nil: nothing) as soon as
    /// `isEnough` says so, none can answer any more, or the time is up. Blocks.
    func exchange(
        _ request: [UInt8], with witnesses: [Witness], until isEnough: ([[UInt8]?]) -> Bool
    ) -> [[UInt8]?]
}

/// Witnesses remember the newest head: machines of their own, so that putting back this one, whole, is seen.
///
/// A head is anchored when q = ⌊(w+f)/2⌋ + 1 witnesses have it, and q must answer at the start. Two such sets share an
/// honest witness; and one head above the store's that the vault itself signed is enough to refuse.
package struct WitnessAnchor: Anchor {
    private let settings: WitnessSettings
    private let identity: SigningKey
    private let vaultID: VaultID
    private let transport: any WitnessTransport
    private let metrics: VaultMetrics

    package init(
        settings: WitnessSettings, identity: SigningKey, transport: any WitnessTransport,
        metrics: VaultMetrics = VaultMetrics()
    ) {
        self.metrics = metrics
        self.settings = settings
        self.identity = identity
        self.transport = transport
        vaultID = VaultID(identityKey: identity.verifyingKey)
    }

    package func heads() throws(AnchorError) -> [AnchoredHead] {
        // All of them are waited for, for a while: the more answer, the sooner a fork shows.
        let answers = try ask(nil, isCounted: true) { _ in false }
        guard answers.count >= settings.quorum else { throw tooFew(answers.count, "answered") }
        return answers.compactMap { $0.held?.head }
    }

    package func advance(to head: KeyedHead) throws(AnchorError) {
        let anchored = head.anchored
        let signed: SignedHead
        do { signed = try SignedHead(anchored, of: vaultID, signedBy: identity) } catch {
            throw .unavailable("a head has no encoding")
        }
        func holders(_ answers: [WitnessAnswer]) -> Int { answers.count { $0.held?.head == anchored } }
        let answers = try ask(signed) { holders($0) >= settings.quorum }
        guard !answers.contains(where: { Self.contradicts($0.held?.head, anchored) }) else { throw .moved }
        guard holders(answers) >= settings.quorum else { throw tooFew(holders(answers), "keep the new head") }
    }

    /// The answers that are genuine: of this witness, to this question, about a head that this vault signed.
    private func ask(
        _ head: SignedHead?, isCounted: Bool = false, until isEnough: ([WitnessAnswer]) -> Bool
    ) throws(AnchorError) -> [WitnessAnswer] {
        var generator = SystemRandomNumberGenerator()
        let request = WitnessRequest(vaultID: vaultID, nonce: .random(using: &generator), head: head)
        func genuine(_ replies: [[UInt8]?]) -> [WitnessAnswer?] {
            zip(replies, settings.witnesses).map { bytes, witness in
                guard let bytes, let answer = try? WitnessAnswer(decoding: bytes),
                    answer.isValid(for: request, from: witness, identityKey: identity.verifyingKey)
                else { return nil }
                return answer
            }
        }
        guard let bytes = try? request.encoded() else { throw .unavailable("a question has no encoding") }
        let answers = genuine(
            transport.exchange(
                bytes, with: settings.witnesses, until: { isEnough(genuine($0).compactMap { $0 }) }))
        if isCounted { metrics.count(witnesses: answers.map { $0 != nil }) }
        return answers.compactMap { $0 }
    }

    private static func contradicts(_ held: AnchoredHead?, _ head: AnchoredHead) -> Bool {
        guard let held else { return false }
        return held.epoch > head.epoch || held.epoch == head.epoch && held.hash != head.hash
    }

    private func tooFew(_ count: Int, _ what: String) -> AnchorError {
        .unavailable("\(count) of \(settings.witnesses.count) witnesses \(what), and \(settings.quorum) are needed")
    }
}

/// For the making of a vault whose witnesses do not know it yet: its first batch is anchored when it is first opened.
package struct FirstBatchAnchor: Anchor {
    package init() {}

    package func heads() throws(AnchorError) -> [AnchoredHead] { [] }

    package func advance(to head: KeyedHead) throws(AnchorError) {
        guard head.head.epoch == 1 else { throw .unavailable("the vault's witnesses were not asked") }
    }
}
