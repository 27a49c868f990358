import Foundation
package import RecoveryProtocol
import Synchronization
package import VaultCore

/// Takes commands from any number of tasks and lets their answers out when they are in the store.
///
/// Commands that arrive while a batch is being committed form the next batch (group commit). All batches are worked
/// on by one thread that never suspends between check, charge and commit: an actor with an `await` in between is not
/// a transaction, and serves a hundred guesses of a hundred.
package final class Ledger: Sendable {
    private struct Entry: Sendable {
        let command: AccountCommand
        let continuation: CheckedContinuation<LedgerOutcome, Never>
    }

    private struct Waiting {
        var entries: [Entry] = []
        var isDraining = false
    }

    /// The batch before: when it began, and how many commands it had.
    private struct Pace {
        var began = ContinuousClock.now
        var count = 0
    }

    /// Between the beginnings of two batches, once several commands come at a time. A batch costs processor and medium (and a
    /// token its life) nearly the same with one command as with twenty. A lone client never waits for it.
    private static let gathering = Duration.milliseconds(10)
    /// The same while the processors have more messages to open and to answer than they can: these would only wait
    /// elsewhere, and most of them join the batch.
    private static let gatheringBusy = Duration.milliseconds(30)
    private static let look = Duration.milliseconds(4)
    private static let processors = Processors.count
    /// For each processor: what a vault under half its load has in hand when a batch was answered is no more than that.
    private static let workedOnMany = 6
    /// For each processor: so many messages that nobody has begun with are no burst of an idle vault.
    private static let arrivedMany = 8
    private static let batchCountMax = 256
    private static let waitingCountMax = 10_000

    private let waiting = Mutex(Waiting())
    private let pace = Mutex(Pace())
    private let worker: Mutex<LedgerWorker>
    private let thread = DispatchQueue(label: "coffer.vault.ledger")
    private let metrics: VaultMetrics
    private let messages: MessagesInWork

    /// `messages` are those that the service holds, the ones that wait here among them.
    package init(
        records: SealedRecords, vaultID: VaultID, metrics: VaultMetrics = VaultMetrics(),
        messages: MessagesInWork = MessagesInWork(), clock: @escaping @Sendable () -> Moment
    ) {
        worker = Mutex(LedgerWorker(records: records, vaultID: vaultID, metrics: metrics, clock: clock))
        self.metrics = metrics
        self.messages = messages
    }

    /// How many commands wait for the next batch.
    var queueCount: Int { waiting.withLock { $0.entries.count } }

    package func submit(_ command: AccountCommand) async -> LedgerOutcome {
        await withCheckedContinuation { continuation in
            let entry = Entry(command: command, continuation: continuation)
            switch enqueue(entry) {
            case .full: continuation.resume(returning: .failed(.unavailable("too many commands are waiting")))
            case .starts: thread.async { self.drain() }
            case .joins: break
            }
        }
    }

    /// What timed work came to.
    package struct Settled: Sendable {
        /// Why it stopped; nil if it did all that was due.
        var failure: LedgerError?
        /// What is wrong with records that it had to leave alone; each of them once.
        var damaged: [LedgerError] = []
        /// Why old versions of records were not erased: mostly since somebody reads the store for long.
        var notErased: LedgerError?
    }

    /// Runs expiry and destruction for every record whose time has come, and erases what is left of erased secrets.
    /// To be called before serving, and from time to time.
    package func settleDue() async -> Settled {
        await withCheckedContinuation { continuation in
            thread.async { continuation.resume(returning: self.worker.withLock { Self.settleDue(&$0) }) }
        }
    }

    private static func settleDue(_ worker: inout LedgerWorker) -> Settled {
        var settled = Settled()
        do throws(LedgerError) {
            while try worker.settleDue() {}
        } catch { settled.failure = error }
        settled.notErased = worker.eraseOldVersions()
        settled.damaged = worker.takeDamaged()
        return settled
    }

    private enum Admission { case full, starts, joins }

    private func enqueue(_ entry: Entry) -> Admission {
        waiting.withLock { waiting in
            guard waiting.entries.count < Self.waitingCountMax else { return .full }
            waiting.entries.append(entry)
            defer { waiting.isDraining = true }
            return waiting.isDraining ? .joins : .starts
        }
    }

    private func nextBatch() -> [Entry] {
        waiting.withLock { waiting in
            let batch = Array(waiting.entries.prefix(Self.batchCountMax))
            waiting.entries.removeFirst(batch.count)
            waiting.isDraining = !batch.isEmpty
            return batch
        }
    }

    private func gather() {
        let last = pace.withLock { $0 }
        guard last.count > 1 else { return }
        rest(Self.gathering - last.began.duration(to: .now))
        while areProcessorsBusy, last.began.duration(to: .now) < Self.gatheringBusy { rest(Self.look) }
    }

    private var areProcessorsBusy: Bool {
        messages.count - queueCount > Self.workedOnMany * Self.processors
            || messages.arrivedCount > Self.arrivedMany * Self.processors
    }

    private func rest(_ duration: Duration) {
        // The ledger's own thread rests while commands come together; nothing is decided by how long.
        if duration > .zero { Thread.sleep(forTimeInterval: duration.inSeconds) }
    }

    private func drain() {
        while true {
            gather()
            let batch = nextBatch()
            if batch.isEmpty { return }
            pace.withLock { $0 = Pace(count: batch.count) }
            metrics.observe(Metrics.batch, Double(batch.count))
            let outcomes = worker.withLock { $0.process(batch.map(\.command)) }
            for (entry, outcome) in zip(batch, outcomes) { entry.continuation.resume(returning: outcome) }
        }
    }
}
