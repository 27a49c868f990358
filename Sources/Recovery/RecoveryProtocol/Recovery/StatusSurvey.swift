import ByteCoding
import Primitives

/// A vault that can be asked to evaluate, as its Status describes it.
package struct Voter: Hashable, Sendable {
    package let vaultID: VaultID
    package let serial: UInt64
    package let attemptsLeft: Int
    /// Seconds to wait by the vault's own clock; 0 if none.
    package let waitSeconds: UInt64
    package let notBefore: Timestamp
    /// The vault came back from a backup and answers when the management key has thawed the registration.
    package let isFrozen: Bool
    /// It may have charged this entry of the password already: then it answers the repeat, whatever is left.
    package fileprivate(set) var isCharged = false

    package var canAnswer: Bool { !isFrozen && (isCharged || (attemptsLeft > 0 && waitSeconds == 0)) }
}

/// What the vaults' Status replies say together, before anything is charged. Nothing here is believed from fewer than
/// t vaults, except what proves itself: a succession certificate.
package struct StatusSurvey: Sendable {
    /// The registration that t vaults hold alike.
    package struct Candidate: Sendable {
        package let view: RecordView
        package let recordHash: RecordHash
        /// Those who hold it, best first: charged already, without a wait, then by attempts left.
        package fileprivate(set) var voters: [Voter]

        package var attemptsShown: Int {
            Fleet.attemptsShown(left: voters.map(\.attemptsLeft), threshold: Int(view.header.threshold))
        }
    }

    package enum Verdict: Sendable {
        case candidate(Candidate)
        /// t vaults hold the registration, and too few of them may answer before this time.
        case tooEarly(Candidate, until: Timestamp)
        case noAttemptsLeft(erasedAt: Timestamp)
        case destroyed(at: Timestamp)
        case notRegistered
        /// Too few vaults answered alike to say anything.
        case tooFewVaults
    }

    private let fleet: Fleet
    private let name: AccountName
    package private(set) var replies: [(vaultID: VaultID, reply: StatusReply)] = []

    package init(fleet: Fleet, name: AccountName) {
        self.fleet = fleet
        self.name = name
    }

    /// Takes one reply in, if it holds together: the record is of this fleet and account, names this vault, and hashes
    /// to what the vault says that it holds.
    package mutating func add(_ reply: StatusReply, from vaultID: VaultID) throws(VaultFault) {
        if let view = reply.record {
            guard view.header.matches(fleet), view.header.name == name, view.header.holder(vaultID: vaultID) != nil,
                let hash = try? view.recordHash(), Self.evaluable(reply).contains(hash)
            else { throw .wrongRecord }
        } else if reply.held.contains(where: { $0.role == .active }) {
            throw .wrongRecord
        }
        replies.append((vaultID, reply))
    }

    /// The verdict for an entry of a password that was begun with this record, and that these vaults may have charged.
    /// They answer its repeat for free, even after the last attempt: so they come first, and are never too few for
    /// what they answered before.
    package func verdict(continuing recordHash: RecordHash, chargedAt vaults: [VaultID]) -> Verdict {
        let fresh = verdict
        if case .candidate(let other) = fresh, other.recordHash != recordHash { return fresh }
        guard var candidate = candidates.first(where: { $0.recordHash == recordHash }), !isSuperseded(candidate) else {
            return fresh
        }
        for position in candidate.voters.indices where vaults.contains(candidate.voters[position].vaultID) {
            candidate.voters[position].isCharged = true
        }
        candidate.voters = candidate.voters.filter(\.isCharged) + candidate.voters.filter { !$0.isCharged }
        let able = candidate.voters.count(where: \.canAnswer)
        return able >= Int(candidate.view.header.threshold) ? .candidate(candidate) : fresh
    }

    /// How many vaults, of those that hold alike, would evaluate now.
    package var ableCount: Int {
        let counts = views.map { view, hash in voters(of: hash, header: view.header).count(where: \.canAnswer) }
        return counts.max() ?? 0
    }

    package var verdict: Verdict {
        let candidates = candidates.filter { !isSuperseded($0) }
        // The one that most vaults call active comes first: a change of password that was cut short leaves two.
        let best = candidates.max { activeCount($0) < activeCount($1) }
        guard let best else { return withoutCandidate }
        let threshold = Int(best.view.header.threshold)
        if best.voters.count(where: \.canAnswer) >= threshold { return .candidate(best) }
        let waiting = best.voters.filter { $0.attemptsLeft > 0 && !$0.isFrozen }.map(\.notBefore).sorted()
        if waiting.count >= threshold { return .tooEarly(best, until: waiting[threshold - 1]) }
        return withoutCandidate
    }

    /// Certificates that prove themselves, to be carried to vaults that lack them.
    package func validCertificates(retiring view: RecordView) -> [SuccessionCertificate] {
        replies.flatMap(\.reply.certificates).filter { certificate in
            certificate.oldRegistrationID == view.header.registrationID
                && (try? certificate.isValid(
                    fleetID: fleet.id, name: name, oldManagementKey: view.header.managementKey)) == true
        }
    }

    private func isSuperseded(_ candidate: Candidate) -> Bool { !validCertificates(retiring: candidate.view).isEmpty }

    /// Every record that at least t vaults hold as active or previous.
    private var candidates: [Candidate] {
        views.compactMap { view, hash in
            let voters = voters(of: hash, header: view.header)
            // t is that of the fleet file's generation, which the record matched: never a number from a reply.
            guard let generation = fleet.generation(version: view.header.fleetVersion),
                voters.count >= Int(generation.threshold)
            else { return nil }
            return Candidate(view: view, recordHash: hash, voters: voters)
        }
    }

    /// Every record that a vault shows.
    private var views: [(view: RecordView, hash: RecordHash)] {
        var found: [(view: RecordView, hash: RecordHash)] = []
        for (_, reply) in replies {
            guard let view = reply.record, let hash = try? view.recordHash(),
                !found.contains(where: { $0.hash == hash })
            else { continue }
            found.append((view, hash))
        }
        return found
    }

    private func voters(of hash: RecordHash, header: RecordHeader) -> [Voter] {
        let holding = replies.filter { vaultID, reply in
            header.holder(vaultID: vaultID) != nil && Self.evaluable(reply).contains(hash)
        }
        let voters = holding.map { vaultID, reply in
            let wait = reply.notBefore > reply.vaultTime
            return Voter(
                vaultID: vaultID, serial: reply.serial, attemptsLeft: Int(reply.attemptsLeft),
                waitSeconds: wait ? reply.notBefore.unixSeconds - reply.vaultTime.unixSeconds : 0,
                notBefore: reply.notBefore, isFrozen: reply.frozen != nil)
        }
        return voters.enumerated().sorted { left, right in
            let (a, b) = (left.element, right.element)
            if a.canAnswer != b.canAnswer { return a.canAnswer }
            if a.attemptsLeft != b.attemptsLeft { return a.attemptsLeft > b.attemptsLeft }
            return left.offset < right.offset
        }.map(\.element)
    }

    private func activeCount(_ candidate: Candidate) -> Int {
        replies.count { _, reply in
            reply.held.contains { $0.role == .active && $0.recordHash == candidate.recordHash }
        }
    }

    private static func evaluable(_ reply: StatusReply) -> [RecordHash] {
        reply.held.filter { $0.role == .active || $0.role == .previous }.map(\.recordHash)
    }

    /// What t vaults say alike, when there is no registration to try. Fewer could be liars.
    private var withoutCandidate: Verdict {
        var destroyed: [Timestamp] = []
        var ending: [Timestamp] = []
        var absent = 0
        for (_, reply) in replies {
            switch reply.state {
            case .destroyed(let time): destroyed.append(time)
            case .destructionPending(let erasedAt): ending.append(erasedAt)
            case .notRegistered: absent += 1
            case .active: break
            }
        }
        let threshold = fleet.threshold
        if destroyed.count + ending.count >= threshold {
            if let latest = destroyed.max() { return .destroyed(at: latest) }
            if let first = ending.min() { return .noAttemptsLeft(erasedAt: first) }
        }
        return absent >= threshold ? .notRegistered : .tooFewVaults
    }
}
