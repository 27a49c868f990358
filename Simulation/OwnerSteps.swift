import ByteCoding
import Primitives
import RecoveryProtocol
import VaultCore

/// What an owner's client sends, in the order of `FleetClient`, from the same pure parts.
extension Owner {
    struct Survey {
        var survey: StatusSurvey
        var answered: [(vault: Int, reply: StatusReply)] = []

        func reply(_ vault: Int) -> StatusReply? { answered.first { $0.vault == vault }?.reply }
    }

    private var needed: Int { min(fleet.current.count, fleet.threshold + 1) }
    private var everyVault: [Int] { Array(fleet.currentVaults.indices) }

    // MARK: Asking

    /// All at once; asked again where nothing came back, which is free.
    func ask(_ questions: [(vault: Int, operation: Operation)]) async throws -> [(vault: Int, reply: Reply?)] {
        try mayBeCut()
        let first = questions.map { network.send($0.operation, of: name, to: $0.vault, from: .owner) }
        var answers: [(vault: Int, reply: Reply?)] = []
        for (question, sent) in zip(questions, first) {
            var reply = try await network.reply(to: sent)
            if reply == nil {
                let again = network.send(question.operation, of: name, to: question.vault, from: .owner)
                reply = try await network.reply(to: again)
            }
            answers.append((question.vault, reply))
        }
        return answers
    }

    func survey() async throws -> Survey {
        var survey = Survey(survey: StatusSurvey(fleet: fleet, name: name))
        for (vault, reply) in try await ask(everyVault.map { ($0, .status(StatusRequest())) }) {
            guard case .status(let status) = reply else { continue }
            do throws(VaultFault) {
                try survey.survey.add(status, from: fleet.currentVaults[vault].id)
                survey.answered.append((vault, status))
            } catch { continue }
        }
        return survey
    }

    private func signed(
        at vaults: [(vault: Int, serial: UInt64)], _ make: (Int, SigningContext) throws -> Operation?
    ) async throws -> [(vault: Int, reply: Reply?)] {
        func questions(_ vaults: [(vault: Int, serial: UInt64)]) throws -> [(vault: Int, operation: Operation)] {
            try vaults.compactMap { vault, serial in
                let context = SigningContext(
                    fleetID: fleet.id, vaultID: fleet.currentVaults[vault].id, name: name, serial: serial)
                return try make(vault, context).map { (vault, $0) }
            }
        }
        var answers = try await ask(questions(vaults))
        let stale = answers.compactMap { vault, reply -> (vault: Int, serial: UInt64)? in
            guard case .refused(.staleSerial(let current)) = reply else { return nil }
            return (vault, current)
        }
        for (vault, reply) in try await ask(questions(stale)) {
            if let position = answers.firstIndex(where: { $0.vault == vault }) { answers[position].reply = reply }
        }
        return answers
    }

    // MARK: Registering

    func register() async throws {
        try await takeBack()
        var survey = try await survey()
        // A vault that did not hear of it yet stays out of the next change.
        survey.answered.removeAll { !world.isStrict && begun($0.reply) != nil }
        guard survey.answered.count >= needed else { return }
        let new = try newRegistration()
        let prepared = try await prepare(new, at: survey.answered.map { ($0.vault, $0.reply.serial) }, survey)
        guard prepared.count >= needed else { return }
        // Shares of what came before are not delivered once this one may be active anywhere.
        if !world.isStrict { undelivered = nil }
        let activated = try await activate(new, at: prepared, survey)
        guard activated.count >= fleet.threshold else { return }
        try await finish(new, activated: activated, survey, earlier: [])
    }

    /// Takes back what an earlier change, cut short, left at some vaults: a third registration would otherwise push the
    /// acknowledged one out of them before t vaults have another (Specs/vault.md, section 8). What is acknowledged is
    /// the device's own knowledge: liars could name any old registration.
    private func takeBack() async throws {
        guard let acknowledged, !hasRetired(acknowledged.id), !world.isStrict else { return }
        let begun = try await survey().answered.compactMap { vault, reply in
            self.begun(reply).map { (vault: vault, id: $0) }
        }
        let certificates = try begun.map { ($0.vault, try certificate($0.id, acknowledged)) }
        for (_, certificate) in certificates { retires(certificate.oldRegistrationID) }
        _ = try await ask(certificates.map { ($0.0, .retire($0.1)) })
    }

    /// The registration that was begun on top of the acknowledged one.
    private func begun(_ reply: StatusReply) -> RegistrationID? {
        guard let acknowledged, !hasRetired(acknowledged.id), let id = reply.activeID, registration(id) != nil,
            reply.held.contains(where: { $0.role == .previous && $0.recordHash == acknowledged.recordHash })
        else { return nil }
        return id
    }

    /// Brings the newest registration to the vaults that lack it, without a password.
    func deliver() async throws {
        guard let (new, missing, certificates) = undelivered else { return }
        let before = try await survey()
        _ = try await ask(
            certificates.flatMap { certificate in
                before.answered.filter { $0.reply.activeID == certificate.oldRegistrationID }
                    .map { ($0.vault, Operation.retire(certificate)) }
            })
        let survey = try await survey()
        // Open: a device that keeps shares of a registration which a later one follows would retire the later one
        // (Specs/vault.md, section 8).
        let isFollowed = survey.answered.contains { answer in
            answer.reply.held.contains { $0.role == .previous && $0.registrationID == new.id }
                || answer.reply.certificates.contains { $0.oldRegistrationID == new.id }
        }
        if isFollowed || hasRetired(new.id), !world.isStrict { return }
        let lacking = survey.answered.filter { missing.contains($0.vault) }
        let prepared = try await prepare(new, at: lacking.map { ($0.vault, $0.reply.serial) }, survey)
        let activated = try await activate(new, at: prepared, survey)
        let others = everyVault.filter { !missing.contains($0) }
        try await finish(new, activated: others + activated, survey, earlier: certificates)
    }

    private func prepare(
        _ new: PlainRegistration, at vaults: [(vault: Int, serial: UInt64)], _ survey: Survey
    ) async throws -> [(vault: Int, serial: UInt64)] {
        let answers = try await signed(at: vaults) { vault, context in
            guard let share = new.share(for: context.vaultID) else { return nil }
            let replacement = try old(new, survey.reply(vault)).map { old in
                Replacement(
                    oldRegistrationID: old,
                    signature: key(old).sign(
                        try SignedBytes.prepare(context, oldRegistrationID: old, newRecordHash: new.recordHash)))
            }
            return .prepare(
                PrepareRequest(serial: context.serial, record: new.record, share: share, replacement: replacement))
        }
        return answers.compactMap { vault, reply in
            if case .prepared(let serial) = reply { return (vault, serial) }
            return nil
        }
    }

    private func activate(
        _ new: PlainRegistration, at vaults: [(vault: Int, serial: UInt64)], _ survey: Survey
    ) async throws -> [Int] {
        let answers = try await signed(at: vaults) { vault, context in
            let replacement = try old(new, survey.reply(vault)).map { old in
                Replacement(
                    oldRegistrationID: old,
                    signature: key(old).sign(
                        try SignedBytes.replace(context, oldRegistrationID: old, newRecordHash: new.recordHash)))
            }
            let signed = try SignedBytes.activate(context, recordHash: new.recordHash)
            return .activate(
                ActivateRequest(
                    serial: context.serial, recordHash: new.recordHash, signature: new.managementKey.sign(signed),
                    replacement: replacement))
        }
        return answers.compactMap { vault, reply in
            if case .activated = reply { return vault }
            return nil
        }
    }

    private func old(_ new: PlainRegistration, _ reply: StatusReply?) -> RegistrationID? {
        guard let reply else { return nil }
        if let active = reply.activeID { return active == new.id ? nil : active }
        // After destruction the old key's word is needed as well; the vault says no id, the person's device knows it.
        if case .destroyed = reply.state { return all.dropLast().last?.id }
        return nil
    }

    private func finish(
        _ new: PlainRegistration, activated: [Int], _ survey: Survey, earlier: [SuccessionCertificate]
    ) async throws {
        var olds: [RegistrationID] = []
        for held in survey.answered.flatMap(\.reply.held) where held.role == .active || held.role == .previous {
            if held.registrationID != new.id, !olds.contains(held.registrationID),
                registration(held.registrationID) != nil
            {
                olds.append(held.registrationID)
            }
        }
        let isEnough = activated.count >= needed || world.plant == .retiredTooEarly
        if isEnough, honestCount(activated) >= fleet.threshold { isProtected = true }
        if isEnough { acknowledged = new }
        let certificates = try isEnough ? olds.map { try certificate($0, new) } : []
        let missing = everyVault.filter { !activated.contains($0) }
        undelivered = missing.isEmpty ? nil : (new, missing, earlier + certificates)
        // Open: with liars among those who acknowledged, fewer than t honest vaults hold the new one when the old one
        // is retired (Specs/vault.md, section 8).
        if honestCount(activated) < fleet.threshold, !olds.isEmpty, isEnough { loseProtection() }
        world.note(
            "\(name.account) activated \(new.id.bytes.short) at \(activated), retires \(olds.map(\.bytes.short))")
        // All of them first: this device may die before it has sent the last one.
        for certificate in certificates { retires(certificate.oldRegistrationID) }
        for certificate in certificates {
            _ = try await ask(activated.map { ($0, .retire(certificate)) })
        }
    }

    private func certificate(_ old: RegistrationID, _ new: PlainRegistration) throws -> SuccessionCertificate {
        try SuccessionCertificate(
            fleetID: fleet.id, name: name, oldRegistrationID: old, newRecordHash: new.recordHash, oldKey: key(old),
            newKey: new.managementKey)
    }

    func delete() async throws {
        let survey = try await survey()
        hasDeleted = true
        isProtected = false
        acknowledged = nil
        undelivered = nil
        _ = try await signed(at: survey.answered.map { ($0.vault, $0.reply.serial) }) { vault, context in
            guard let id = survey.reply(vault)?.activeID else { return nil }
            let signed = try SignedBytes.delete(context, registrationID: id)
            return .delete(
                DeleteRequest(serial: context.serial, registrationID: id, signature: key(id).sign(signed)))
        }
    }

    // MARK: Recovering

    /// True if K came back.
    @discardableResult
    func recover(isTypo: Bool) async throws -> Bool {
        let survey = try await survey()
        guard case .candidate(let candidate) = survey.survey.verdict,
            let registration = registration(candidate.view.header.registrationID)
        else { return false }
        let password = isTypo ? SecretBytes(copying: Array("a typo".utf8)) : registration.password
        let entry = try PlainAttempt(password: password, view: candidate.view, using: &generator)
        tries(entry.attempt.receipt)
        guard let found = try await evaluate(entry, candidate) else { return false }
        guard let key = entry.finish(found.elements, found.envelope) else {
            if !isTypo { world.fail(.recovers, "the right password of \(name.account) was called wrong") }
            return false
        }
        if isTypo || backupKey.withBytes({ Array($0) }) != key {
            world.fail(.recovers, "\(name.account) was given another key")
        }
        recovered()
        world.note("\(name.account) recovered")
        try await confirm(entry.attempt, registration, candidate.voters)
        return true
    }

    private typealias Found = (elements: [(index: UInt8, element: GroupElement)], envelope: Envelope)

    private func evaluate(_ entry: PlainAttempt, _ candidate: StatusSurvey.Candidate) async throws -> Found? {
        var round = EvaluationRound(voters: candidate.voters, threshold: fleet.threshold)
        var elements: [(index: UInt8, element: GroupElement)] = []
        while !round.isComplete {
            let voters = round.next()
            guard !voters.isEmpty else { return nil }
            for voter in voters {
                let reply = try await evaluate(entry, at: voter)
                if let good = try? reply.map({ try entry.attempt.check($0, from: voter.vaultID) }) {
                    elements.append((good.index, good.element))
                    round.succeeded(good)
                } else {
                    round.failed()
                    if world.plant == .proofsUnchecked, let reply, let vault = fleet.vault(id: voter.vaultID) {
                        elements.append((vault.index, reply.evaluation))
                    }
                }
            }
        }
        return round.good.first.map { (Array(elements.prefix(fleet.threshold)), $0.envelope) }
    }

    private func evaluate(_ entry: PlainAttempt, at voter: Voter) async throws -> EvaluateReply? {
        guard let vault = fleet.currentVaults.firstIndex(where: { $0.id == voter.vaultID }) else { return nil }
        var reply = try await ask([(vault, .evaluate(entry.attempt.request(serial: voter.serial)))]).first?.reply
        if case .refused(.staleSerial(let current)) = reply {
            reply = try await ask([(vault, .evaluate(entry.attempt.request(serial: current)))]).first?.reply
        }
        guard case .evaluated(let evaluated) = reply else { return nil }
        return evaluated
    }

    private func confirm(
        _ attempt: PasswordAttempt, _ registration: PlainRegistration, _ voters: [Voter]
    ) async throws {
        let vaults = voters.compactMap { voter in
            fleet.currentVaults.firstIndex { $0.id == voter.vaultID }.map { ($0, voter.serial) }
        }
        _ = try await signed(at: vaults) { _, context in
            let signed = try SignedBytes.confirm(
                context, registrationID: registration.id, receipts: [attempt.receipt])
            return .confirm(
                ConfirmRequest(
                    serial: context.serial, registrationID: registration.id, receipts: [attempt.receipt],
                    signature: registration.managementKey.sign(signed)))
        }
    }
}

extension StatusReply {
    var activeID: RegistrationID? { held.first { $0.role == .active }?.registrationID }
}
