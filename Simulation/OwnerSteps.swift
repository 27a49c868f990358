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

    func signed(
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

    /// As `FleetClient.register`.
    func register() async throws {
        var survey = try await survey()
        guard survey.answered.count >= fleet.neededForChange else { return }
        let succession = succession(survey)
        let new = try newRegistration()
        survey.answered.removeAll { isForeign($0.reply, new, succession) }
        var prepared = try await prepare(
            new, at: survey.answered.map { ($0.vault, $0.reply.serial) }, survey, succession)
        guard prepared.count >= fleet.neededForChange else { return }
        undelivered = nil
        let takenBack = try await takeBack(at: &prepared, besides: nil, survey, succession)
        guard prepared.count >= fleet.neededForChange else { return }
        let activated = try await activate(new, at: prepared, survey, succession, takenBack: takenBack)
        guard activated.count >= fleet.threshold else { return }
        let certificates = succession.certificates(for: new.name)
        keep(new, missing: everyVault.filter { !activated.contains($0) }, certificates)
        try await settle(new, at: activated, certificates, survey, succession, takenBack: takenBack)
    }

    private func succession(_ survey: Survey) -> Succession {
        Succession(
            survey.answered.map(\.reply), fleet: fleet, name: name, backupKey: backupKey, noted: standing)
    }

    /// As `FleetClient.takeBack`.
    private func takeBack(
        at prepared: inout [(vault: Int, serial: UInt64)], besides new: RegistrationName?, _ survey: Survey,
        _ succession: Succession
    ) async throws -> [Int] {
        guard world.plant != .changeOnChange else { return [] }
        let questions = prepared.compactMap { vault, _ -> (vault: Int, operation: Operation)? in
            guard let begun = survey.reply(vault).flatMap(succession.begun(at:)), begun != new?.id,
                let certificate = succession.takingBack(begun)
            else { return nil }
            retires(begun)
            return (vault, .retire(certificate))
        }
        guard !questions.isEmpty else { return [] }
        var takenBack: [Int] = []
        for (vault, reply) in try await ask(questions) {
            guard let position = prepared.firstIndex(where: { $0.vault == vault }) else { continue }
            if case .retired(let serial) = reply {
                prepared[position].serial = serial
                takenBack.append(vault)
            } else {
                prepared.remove(at: position)
            }
        }
        world.note("\(name.account) took back what was begun at \(takenBack)")
        return takenBack
    }

    /// As `FleetClient.settle`.
    private func settle(
        _ new: PlainRegistration, at activated: [Int], _ certificates: [SuccessionCertificate], _ survey: Survey,
        _ succession: Succession, takenBack: [Int]
    ) async throws {
        let isTooEarly = world.plant == .retiredTooEarly && activated.count >= fleet.threshold
        let acknowledged = isTooEarly ? fleet.current.count : activated.count
        if succession.standing(after: new.name, acknowledged: acknowledged) == new.name {
            standing = new.name
            if honestCount(activated) >= fleet.threshold || isTooEarly { isProtected = true }
        }
        world.note("\(name.account) activated \(new.id.bytes.short) at \(activated)")
        guard succession.isComplete(acknowledged: acknowledged) else { return }
        world.note("\(name.account) retires \(certificates.map(\.oldRegistrationID.bytes.short))")
        // All of them first: this device may die before it has sent the last one.
        for certificate in certificates { retires(certificate.oldRegistrationID) }
        var isDone = true
        for certificate in certificates {
            let old = certificate.oldRegistrationID
            let holders = activated.filter { vault in
                guard let reply = survey.reply(vault) else { return true }
                if takenBack.contains(vault), reply.active?.registrationID == old { return false }
                return reply.evaluable.contains { $0.id == old }
            }
            for (_, reply) in try await ask(holders.map { ($0, .retire(certificate)) }) {
                switch reply {
                case .retired, .refused(.unknownRegistration), .refused(.notRegistered), .refused(.destroyed): continue
                default: isDone = false
                }
            }
        }
        if isDone, undelivered?.missing.isEmpty == true { undelivered = nil }
    }

    private func keep(_ new: PlainRegistration, missing: [Int], _ certificates: [SuccessionCertificate]) {
        undelivered = missing.isEmpty && certificates.isEmpty ? nil : (new, missing, certificates)
    }

    /// As `FleetClient.deliver`.
    func deliver() async throws {
        guard let (new, missing, certificates) = undelivered else { return }
        let survey = try await survey()
        let succession = succession(survey)
        if succession.isFollowed(new.name, ending: certificates) {
            undelivered = nil
            return
        }
        guard survey.answered.count >= fleet.threshold else { return }
        let already = survey.answered.filter { $0.reply.active?.recordHash == new.recordHash }.map(\.vault)
        let lacking = survey.answered.filter { missing.contains($0.vault) }
        var prepared = try await prepare(new, at: lacking.map { ($0.vault, $0.reply.serial) }, survey, succession)
        let takenBack = try await takeBack(at: &prepared, besides: new.name, survey, succession)
        let done = try await activate(new, at: prepared, survey, succession, takenBack: takenBack)
        let activated = already + done.filter { !already.contains($0) }
        keep(new, missing: missing.filter { !activated.contains($0) }, certificates)
        try await settle(new, at: activated, certificates, survey, succession, takenBack: takenBack)
    }

    private func prepare(
        _ new: PlainRegistration, at vaults: [(vault: Int, serial: UInt64)], _ survey: Survey, _ succession: Succession
    ) async throws -> [(vault: Int, serial: UInt64)] {
        let answers = try await signed(at: vaults) { vault, context in
            guard let share = new.share(for: context.vaultID) else { return nil }
            let replacement = try old(new, survey.reply(vault), succession).map { old in
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
        _ new: PlainRegistration, at vaults: [(vault: Int, serial: UInt64)], _ survey: Survey, _ succession: Succession,
        takenBack: [Int]
    ) async throws -> [Int] {
        let answers = try await signed(at: vaults) { vault, context in
            let old =
                takenBack.contains(vault) ? succession.standing?.id : old(new, survey.reply(vault), succession)
            let replacement = try old.map { old in
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

    /// As `Change.isForeign`.
    private func isForeign(_ reply: StatusReply, _ new: PlainRegistration, _ succession: Succession) -> Bool {
        if reply.active != nil { return reply.isActiveForeign(to: backupKey) }
        guard let ended = reply.ended else { return false }
        return ended.managementKey != new.managementKey.verifyingKey && old(new, reply, succession) == nil
    }

    /// As `Change.oldRegistration`.
    private func old(_ new: PlainRegistration, _ reply: StatusReply?, _ succession: Succession) -> RegistrationID? {
        guard let reply else { return nil }
        if let active = reply.activeID {
            return active == new.id || reply.isActiveForeign(to: backupKey) ? nil : active
        }
        guard let ended = reply.ended else { return nil }
        let known = [ended.registrationID] + succession.certificates(for: new.name).reversed().map(\.oldRegistrationID)
        return known.first { key($0).verifyingKey == ended.managementKey }
    }

    func delete() async throws {
        let survey = try await survey()
        hasDeleted = true
        isProtected = false
        undelivered = nil
        standing = nil
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
        tries(entry.attempt)
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
