import Primitives
package import RecoveryProtocol
package import VaultCore

/// One command for one account, as the service hands it in.
package struct AccountCommand: Sendable {
    package let name: AccountName
    package let command: Command
    package let isOverRate: Bool
    /// The account's name in the store, if the caller had it from the records' own sealer already.
    package let key: RecordKey?

    package init(name: AccountName, command: Command, isOverRate: Bool = false, key: RecordKey? = nil) {
        self.name = name
        self.key = key
        self.command = command
        self.isOverRate = isOverRate
    }
}

/// What became of it, once it is in the store.
package enum LedgerOutcome: Equatable, Sendable {
    case answer(Answer)
    /// Nothing is answered. What was charged, if anything, is charged under the same receipt.
    case failed(LedgerError)
}

/// Does the ledger's work, a batch at a time and without ever letting go in between: load, check and charge, seal,
/// commit. It keeps no record from one batch to the next, so a commit that failed, or whose outcome nobody knows,
/// leaves nothing behind that could be built upon.
package struct LedgerWorker {
    private static let conflictsMax = 16
    private static let heartbeatSeconds: UInt64 = 600
    private static let eraseAgainSeconds: UInt64 = 10

    let records: SealedRecords
    let vaultID: VaultID
    private let clock: @Sendable () -> Moment
    private let metrics: VaultMetrics
    private var generator: any RandomNumberGenerator & Sendable
    private var breaker = CircuitBreaker()
    /// Of tenants that were met, for the operator's page alone.
    private var policies: [String: TenantPolicy] = [:]
    /// The time as it was at a moment of this process, for the epoch named; nothing if another process wrote since.
    private var timekeeping: (epoch: UInt64, time: LedgerTime, moment: Moment)?
    /// A secret was let go of, and older versions of its record may still lie in the store.
    private(set) var mustErase = true
    /// A backup or an audit reads for minutes, and erasure waits for it for seconds: not with each batch anew.
    private var eraseAgainUptimeSeconds: UInt64 = 0
    /// Records that were met and are damaged. They are left alone when their time comes; the others' time comes all the same.
    private var damaged: Set<RecordKey> = []
    /// What is wrong with them, until somebody has taken it down.
    private var untold: [LedgerError] = []

    /// Another generator than the system's is for the simulation alone.
    package init(
        records: SealedRecords, vaultID: VaultID, metrics: VaultMetrics = VaultMetrics(),
        clock: @escaping @Sendable () -> Moment,
        generator: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
    ) {
        self.records = records
        self.vaultID = vaultID
        self.metrics = metrics
        self.clock = clock
        self.generator = generator
    }

    /// Answers every command of a batch, in order.
    package mutating func process(_ batch: [AccountCommand]) -> [LedgerOutcome] {
        var error = LedgerError.conflict
        for _ in 0..<Self.conflictsMax where error == .conflict {
            do throws(LedgerError) {
                return try processOnce(batch)
            } catch let caught {
                error = caught
            }
        }
        metrics.count(Metrics.ledgerFailures, [error.metricWord])
        return batch.map { _ in .failed(error) }
    }

    private mutating func processOnce(_ batch: [AccountCommand]) throws(LedgerError) -> [LedgerOutcome] {
        var book = try LedgerPage(batch, records)
        for (key, error) in book.damagedRecords { note(key, error) }
        let time = time(at: book.view)
        // Whatever does not come to `keep`.
        defer { breaker.takeBack() }
        var outcomes: [LedgerOutcome] = []
        for (number, command) in batch.enumerated() {
            outcomes.append(book.apply(command, number: number, vaultID: vaultID, time: time, breaker: &breaker))
        }
        if book.isChanged {
            try records.commit(book.changes(at: time), time: time, on: book.view, using: &generator)
            remember(time, after: book.view)
        }
        for (tenant, policy) in book.policies { policies[tenant] = policy }
        keep(book.events, at: time)
        mustErase = mustErase || book.erasesSecrets
        _ = eraseOldVersions()
        return outcomes
    }

    /// Runs what time alone does, on every record whose time has come. True if there may be more. What it erased is erased
    /// from the store's older versions by `eraseOldVersions`.
    package mutating func settleDue(limit: Int = 256) throws(LedgerError) -> Bool {
        let now = time(at: try records.load([]))
        let due = try records.due(atSeconds: now.seconds, limit: limit + damaged.count)
            .filter { !damaged.contains($0) }.prefix(limit).map { $0 }
        let view = try records.load(due)
        let time = time(at: view)
        var changes: [SealedRecords.Change] = []
        var erases = false
        var events: [(tenant: String, events: [VaultEvent])] = []
        defer { breaker.takeBack() }
        for index in due.indices {
            let known: AccountRecord?
            do throws(LedgerError) { known = try view.account(at: index) } catch {
                note(due[index], error)
                continue
            }
            guard let record = known else { continue }
            let step = Machine.tick(record, at: time)
            erases = erases || step.erasesSecrets
            if let name = record.active?.record.header.name {
                events.append((name.tenant, step.events))
                // Time alone charges nothing, so there is nothing to bound here.
                breaker.count(
                    step.events, of: records.sealer.account(name), name.tenant, accountMax: 0, atSeconds: time.seconds)
            }
            changes.append(
                SealedRecords.Change(index: index, value: step.record, dueSeconds: step.record.dueSeconds(at: time)))
        }
        let isHeartbeat = time.seconds >= view.time.seconds &+ Self.heartbeatSeconds
        if !changes.isEmpty || isHeartbeat {
            try records.commit(changes, time: time, on: view, using: &generator)
            remember(time, after: view)
        }
        keep(events, at: time)
        mustErase = mustErase || erases
        return due.count == limit
    }

    /// What was counted is in the store now.
    private mutating func keep(_ events: [(tenant: String, events: [VaultEvent])], at time: LedgerTime) {
        breaker.keep()
        metrics.count(events)
        showBreakers(at: time)
    }

    private func showBreakers(at time: LedgerTime) {
        for (tenant, policy) in policies {
            metrics.showBreaker(
                of: tenant, isOpen: breaker.isOpen(tenant, policy: policy, atSeconds: time.seconds))
        }
    }

    private mutating func note(_ key: RecordKey, _ error: LedgerError) {
        guard damaged.insert(key).inserted else { return }
        untold.append(error)
        metrics.count(Metrics.recordsDamaged)
    }

    /// Records that were found damaged since this was last asked.
    package mutating func takeDamaged() -> [LedgerError] {
        defer { untold = [] }
        return untold
    }

    /// Erases what is left of secrets that were let go of, if there is any. Why it could not; it is tried again later.
    package mutating func eraseOldVersions() -> LedgerError? {
        let now = clock().uptimeSeconds
        guard mustErase, now >= eraseAgainUptimeSeconds else { return nil }
        do { try records.store.eraseOldVersions() } catch {
            eraseAgainUptimeSeconds = now + Self.eraseAgainSeconds
            return LedgerError(error)
        }
        mustErase = false
        return nil
    }

    // MARK: Time

    private mutating func time(at view: SealedRecords.View) -> LedgerTime {
        let now = clock()
        if let known = timekeeping, known.epoch == view.snapshot.epoch {
            return known.time.advanced(from: known.moment, to: now)
        }
        let time = view.time.advanced(from: now, to: now)
        timekeeping = (view.snapshot.epoch, time, now)
        return time
    }

    private mutating func remember(_ time: LedgerTime, after view: SealedRecords.View) {
        timekeeping = (view.snapshot.epoch &+ 1, time, clock())
    }
}
