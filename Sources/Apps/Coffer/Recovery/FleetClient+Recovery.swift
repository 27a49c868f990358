package import Primitives
import RecoveryProtocol

extension FleetClient {
    /// Brings K back. `entry` begins as nil. Handing it in again continues the same attempt, which is free wherever it
    /// was charged; it is nil again once the password has been judged.
    package func recover(
        password: SecretBytes, entry: inout PasswordEntry?
    ) async throws(RecoveryError) -> Recovery {
        let begun = entry
        let status = await status { $0.verdict(continuing: begun).isSettled }
        let candidate = try self.candidate(status, continuing: begun)
        let attempt = try attempt(password, candidate: candidate, entry: &entry)
        // Memory that is missing shows now, not after the charge.
        do { try candidate.view.header.argon2.rehearse() } catch { throw .notEnoughMemory }
        let asked = await evaluate(attempt, candidate: candidate)
        let charged = (entry?.chargedAt ?? []) + asked.mayHaveCharged
        entry?.chargedAt = charged.enumerated().filter { !charged[..<$0.offset].contains($0.element) }.map(\.element)
        guard asked.round.isComplete else {
            throw shortfall(asked, status: status, candidate: candidate, charged: entry?.chargedAt.count ?? 0)
        }
        let key: RecoveredKey
        do throws(FinishError) {
            key = try attempt.finish(asked.round.good)
        } catch {
            let charged = entry?.chargedAt.count ?? 0
            // Only a judged password ends the entry; after a lack of memory the repeat is free.
            if error == .wrongPassword || error == .damagedEnvelope { entry = nil }
            throw refusal(error, asked: asked, status: status, candidate: candidate, charged: charged)
        }
        entry = nil
        let confirmed = await confirm(attempt, key: key, at: candidate.voters)
        return recovery(key, candidate: candidate, status: status, asked: asked, confirmed: confirmed)
    }

    private func candidate(
        _ status: FleetStatus, continuing entry: PasswordEntry?
    ) throws(RecoveryError) -> StatusSurvey.Candidate {
        switch status.verdict(continuing: entry) {
        case .candidate(let candidate): return candidate
        case .tooEarly(_, let until): throw .tooEarly(until: until)
        case .noAttemptsLeft(let erasedAt): throw .noAttemptsLeft(erasedAt: erasedAt)
        case .destroyed(let time): throw .destroyed(at: time)
        case .notRegistered: throw .notRegistered
        case .tooFewVaults:
            throw unreached(
                status.problems + status.impairments, answered: status.survey.ableCount, needed: fleet.threshold,
                charged: entry?.chargedAt.count ?? 0)
        }
    }

    /// Too few answered: for one reason that the person can see to, or for several.
    private func unreached(
        _ problems: [VaultReport], answered: Int, needed: Int, charged: Int
    ) -> RecoveryError {
        switch SignInFault(problems, vaults: fleet.currentVaults.count, needed: needed) {
        case .expired: .tokenExpired
        case .refused: .tokenRefused
        case .missing: .noToken
        case .clock: .clock
        case nil: .tooFewVaults(needed: needed, answered: answered, problems: problems, charged: charged)
        }
    }

    private func attempt(
        _ password: SecretBytes, candidate: StatusSurvey.Candidate, entry: inout PasswordEntry?
    ) throws(RecoveryError) -> PasswordAttempt {
        if let entry, entry.recordHash == candidate.recordHash { return entry.attempt }
        do throws(PasswordAttempt.StartError) {
            var generator = SystemRandomNumberGenerator()
            let attempt = try PasswordAttempt(password: password, view: candidate.view, using: &generator)
            entry = PasswordEntry(attempt: attempt, recordHash: candidate.recordHash)
            return attempt
        } catch {
            switch error {
            case .inputSize: throw .passwordTooLong
            case .argon2Parameters: throw .unacceptableRecord
            }
        }
    }

    /// What the vaults did with one attempt.
    fileprivate struct Asked: Sendable {
        var round: EvaluationRound
        var problems: [VaultReport] = []
        var attemptsLeft: [VaultID: Int] = [:]
        /// All but those that certainly did not: a lost reply may have cost an attempt, a refusal has not.
        var mayHaveCharged: [VaultID] = []
    }

    private func evaluate(_ attempt: PasswordAttempt, candidate: StatusSurvey.Candidate) async -> Asked {
        let threshold = Int(candidate.view.header.threshold)
        let round = EvaluationRound(voters: candidate.voters, threshold: threshold)
        return await withTaskGroup(of: (Fleet.Vault, Result<CheckedEvaluation, VaultProblem>).self) { group in
            var asked = Asked(round: round)
            func launch() {
                for voter in asked.round.next() {
                    guard let vault = fleet.vault(id: voter.vaultID) else { continue }
                    group.addTask { (vault, await evaluate(attempt, at: vault, serial: voter.serial)) }
                }
            }
            launch()
            while let (vault, result) = await group.next() {
                switch result {
                case .success(let evaluation):
                    asked.mayHaveCharged.append(vault.id)
                    asked.attemptsLeft[vault.id] = Int(evaluation.attemptsLeft)
                    asked.round.succeeded(evaluation)
                case .failure(let problem):
                    if problem.mayHaveCharged { asked.mayHaveCharged.append(vault.id) }
                    asked.problems.append(VaultReport(vault: vault, problem: problem))
                    asked.round.failed()
                }
                launch()
            }
            return asked
        }
    }

    private func evaluate(
        _ attempt: PasswordAttempt, at vault: Fleet.Vault, serial: UInt64
    ) async -> Result<CheckedEvaluation, VaultProblem> {
        var answer = await channel.ask(.evaluate(attempt.request(serial: serial)), of: vault)
        if case .success(.refused(.staleSerial(let current))) = answer {
            // The account changed in between (another device's Confirm); the registration is named in the request,
            // so asking again with the serial that this vault gave cannot touch another one.
            answer = await channel.ask(.evaluate(attempt.request(serial: current)), of: vault)
        }
        do throws(VaultProblem) {
            guard case .evaluated(let reply) = try answer.accepted() else { throw .misbehaves(.garbage) }
            do throws(VaultFault) {
                return .success(try attempt.check(reply, from: vault.id))
            } catch { throw .misbehaves(error) }
        } catch { return .failure(error) }
    }

    /// Too few evaluations. One vault alone is not believed that it is too early, or that all is over: as many must say
    /// so as leave fewer than t others.
    private func shortfall(
        _ asked: Asked, status: FleetStatus, candidate: StatusSurvey.Candidate, charged: Int
    ) -> RecoveryError {
        let needed = Int(candidate.view.header.threshold)
        let enough = candidate.view.header.count - needed + 1
        func times(_ time: (Refusal) -> Timestamp?) -> [Timestamp] {
            asked.problems.compactMap { report in
                if case .refused(let refusal) = report.problem { return time(refusal) }
                return nil
            }.sorted()
        }
        let destroyed = times { if case .destroyed(let time) = $0 { time } else { nil } }
        let ending = times { if case .destructionPending(let time) = $0 { time } else { nil } }
        let early = times { if case .tooEarly(let time) = $0 { time } else { nil } }
        if destroyed.count + ending.count >= enough {
            if let latest = destroyed.last { return .destroyed(at: latest) }
            if let first = ending.first { return .noAttemptsLeft(erasedAt: first) }
        }
        if early.count >= enough, let last = early.last { return .tooEarly(until: last) }
        let impairments = status.impairments.filter { report in !asked.problems.contains { $0.vault == report.vault } }
        return unreached(
            status.problems + impairments + asked.problems, answered: asked.round.good.count, needed: needed,
            charged: charged)
    }

    private func refusal(
        _ error: FinishError, asked: Asked, status: FleetStatus, candidate: StatusSurvey.Candidate, charged: Int
    ) -> RecoveryError {
        let problems = status.problems + asked.problems
        switch error {
        case .wrongPassword:
            // Perhaps it is right, for a registration that somebody without its key had replaced.
            let replaced = status.answered.filter { $0.reply.changedWithoutKey.unixSeconds > 0 }.map {
                VaultReport(vault: $0.vault, problem: .replacedWithoutKey(at: $0.reply.changedWithoutKey))
            }
            return .wrongPassword(
                attemptsLeft: attemptsLeft(candidate, after: asked), problems: problems + replaced)
        case .argon2Unavailable: return .notEnoughMemory
        case .damagedEnvelope: return .damagedEnvelope
        case .tooFewEvaluations:
            return .tooFewVaults(
                needed: Int(candidate.view.header.threshold), answered: asked.round.good.count, problems: problems,
                charged: charged)
        }
    }

    private func attemptsLeft(_ candidate: StatusSurvey.Candidate, after asked: Asked) -> Int {
        let left = candidate.voters.map { asked.attemptsLeft[$0.vaultID] ?? $0.attemptsLeft }
        return Fleet.attemptsShown(left: left, threshold: Int(candidate.view.header.threshold))
    }

    /// Gives the attempt back at every vault: one that was asked in an earlier run of the same entry, or whose answer
    /// was lost, may have charged it too. A stranger's attempts stay charged.
    private func confirm(
        _ attempt: PasswordAttempt, key: RecoveredKey, at voters: [Voter]
    ) async -> [VaultID: Int] {
        let id = attempt.view.header.registrationID
        let vaults = voters.compactMap { voter in fleet.vault(id: voter.vaultID).map { ($0, voter.serial) } }
        let answers = await signedOperation(at: vaults) { context in
            guard
                let bytes = try? SignedBytes.confirm(context, registrationID: id, receipts: [attempt.receipt])
            else { return nil }
            return .confirm(
                ConfirmRequest(
                    serial: context.serial, registrationID: id, receipts: [attempt.receipt],
                    signature: key.managementKey.sign(bytes)))
        }
        var left: [VaultID: Int] = [:]
        for (vault, answer) in answers {
            if case .success(.confirmed(_, let attemptsLeft)) = answer { left[vault.id] = Int(attemptsLeft) }
        }
        return left
    }

    private func recovery(
        _ key: RecoveredKey, candidate: StatusSurvey.Candidate, status: FleetStatus, asked: Asked,
        confirmed: [VaultID: Int]
    ) -> Recovery {
        let left = candidate.voters.map {
            confirmed[$0.vaultID] ?? asked.attemptsLeft[$0.vaultID] ?? $0.attemptsLeft
        }
        let holders = candidate.voters.map(\.vaultID)
        let ending = zip(holders, left).filter { $0.1 == 0 }.map(\.0)
        let charged = zip(candidate.voters, left).compactMap { voter, left in
            status.reply(of: voter.vaultID).map { Int($0.attemptsPerVault) - max(left, voter.attemptsLeft) }
        }.sorted(by: >)
        // The t-th largest count: t−1 liars alone cannot raise an alarm.
        let strangers = charged.dropFirst(Int(candidate.view.header.threshold) - 1).first ?? 0
        return Recovery(
            backupKey: key.backupKey, registrationID: candidate.view.header.registrationID,
            recordHash: candidate.recordHash,
            attemptsLeft: Fleet.attemptsShown(left: left, threshold: Int(candidate.view.header.threshold)),
            strangersAttempts: max(0, strangers), problems: status.problems + asked.problems,
            lackingShare: status.answered.map(\.vault).filter { !holders.contains($0.id) || ending.contains($0.id) })
    }
}

extension FleetStatus {
    fileprivate func verdict(continuing entry: PasswordEntry?) -> StatusSurvey.Verdict {
        guard let entry else { return verdict }
        return survey.verdict(continuing: entry.recordHash, chargedAt: entry.chargedAt)
    }
}

extension VaultProblem {
    fileprivate var mayHaveCharged: Bool {
        switch self {
        case .refused, .noToken, .clock, .misbehaves(.badIdentity), .waiting, .replacedWithoutKey: false
        case .unreachable, .timedOut, .misbehaves: true
        }
    }
}
