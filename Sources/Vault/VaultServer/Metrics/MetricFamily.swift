/// Samples of one name, as Prometheus scrapes them.
package struct MetricFamily: Sendable {
    package enum Kind: String, Sendable { case counter, gauge, histogram }

    package let name: String
    package let kind: Kind
    /// The names of the labels, in the order in which values are given.
    package let labels: [String]
    package let help: String
    /// Upper bounds of a histogram's buckets, ascending; the last one, +Inf, is not listed.
    package let bounds: [Double]

    init(_ name: String, _ kind: Kind, bounds: [Double] = [], _ help: String) {
        self.init(name, kind, [], bounds: bounds, help)
    }

    init(_ name: String, _ kind: Kind, _ labels: [String], bounds: [Double] = [], _ help: String) {
        self.name = name
        self.kind = kind
        self.labels = labels
        self.bounds = bounds
        self.help = help
    }
}

/// Everything that a vault tells about itself. Labels are words of this program, a tenant's name or a witness's number:
/// no account, no hash of one, no address, nothing that a stranger chooses.
///
/// `Docs/Operating.md` has the same table; a test compares them.
package enum Metrics {
    static let secondsBounds = [
        0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
    ]

    // MARK: Requests

    static let requests = MetricFamily(
        "coffer_vault_requests_total", .counter, ["operation", "outcome"],
        "Sealed messages that were answered with a sealed reply; outcome is answered or the refusal.")
    static let requestSeconds = MetricFamily(
        "coffer_vault_request_duration_seconds", .histogram, bounds: secondsBounds,
        "From a whole message to its sealed reply.")
    static let partSeconds = MetricFamily(
        "coffer_vault_part_duration_seconds", .histogram, ["part"], bounds: secondsBounds,
        "Parts of the work: open, token, ledger (queue and batch), evaluate, seal of each message; commit, anchor and "
            + "erase of each batch.")
    static let partProcessor = MetricFamily(
        "coffer_vault_part_processor_seconds_total", .counter, ["part"],
        "Processor time of the same parts, without ledger, which waits: what process_cpu_seconds_total has beyond them is the "
            + "rest of the vault.")
    static let messagesRefused = MetricFamily(
        "coffer_vault_messages_refused_total", .counter, ["reason"],
        "Messages without a sealed reply: malformed, unknown_key, overloaded, too_long, cut.")
    static let tokensRefused = MetricFamily(
        "coffer_vault_tokens_refused_total", .counter, ["tenant", "reason"],
        "Sign-in tokens that were refused; the tenant is empty unless it is one of this vault's.")

    // MARK: Accounts

    static let events = MetricFamily(
        "coffer_vault_events_total", .counter, ["tenant", "event"],
        "What happened to registrations, once it was in the store and in the anchor.")
    static let attemptsReturned = MetricFamily(
        "coffer_vault_attempts_returned_total", .counter, ["tenant"],
        "Charged attempts that were given back: the password was right, or the owner forgave them.")
    static let breakerOpen = MetricFamily(
        "coffer_vault_breaker_open", .gauge, ["tenant"],
        "1 while the tenant's circuit breaker suspends new attempts.")

    // MARK: Ledger

    static let queue = MetricFamily(
        "coffer_vault_ledger_queue_commands", .gauge, "Commands that wait for the ledger's next batch.")
    static let batch = MetricFamily(
        "coffer_vault_ledger_batch_commands", .histogram, bounds: [1, 2, 4, 8, 16, 32, 64, 128, 256],
        "Commands in one batch.")
    static let ledgerFailures = MetricFamily(
        "coffer_vault_ledger_failures_total", .counter, ["reason"],
        "Batches and timed work that were not done: conflict, unavailable, unknown_outcome, damaged, anchor_unavailable, "
            + "anchor_damaged, rolled_back.")
    static let commits = MetricFamily(
        "coffer_vault_commits_total", .counter, ["outcome"],
        "Batches handed to the store: done, conflict, unavailable, unknown_outcome, damaged.")
    static let anchorings = MetricFamily(
        "coffer_vault_anchor_advances_total", .counter, ["outcome"],
        "Heads handed to the anchor: done, moved, unavailable, damaged.")
    static let anchorAnswers = MetricFamily(
        "coffer_vault_anchor_answers", .gauge, "1 if the anchor answered when it was last asked.")
    static let witnessAnswers = MetricFamily(
        "coffer_vault_witness_answers_total", .counter, ["witness", "outcome"],
        "Questions to each witness, by its number from 1 as given to init, when all were waited for: genuine or none.")
    static let epoch = MetricFamily(
        "coffer_vault_epoch", .gauge, "Number of the newest batch that the store holds.")

    // MARK: Store

    static let records = MetricFamily(
        "coffer_vault_slots", .gauge, "Slots in use: one for each record, which nothing ever frees.")
    static let accounts = MetricFamily(
        "coffer_vault_accounts", .gauge,
        "Slots of accounts, with those that deleted their registration or lost it to guesses.")
    static let restored = MetricFamily(
        "coffer_vault_restored_records", .gauge,
        "Records that came back with the last restore and were not written since; those of accounts are frozen.")
    static let recordsDamaged = MetricFamily(
        "coffer_vault_records_damaged_total", .counter,
        "Records that this process found damaged, each of them once; their accounts are not served.")
    static let storeBytes = MetricFamily(
        "coffer_vault_store_bytes", .gauge, "Size of the store's files.")

    // MARK: Process

    static let ready = MetricFamily("coffer_vault_ready", .gauge, "1 if /ready says so.")
    static let connections = MetricFamily("coffer_vault_connections", .gauge, "Open connections.")
    static let connectionsClosed = MetricFamily(
        "coffer_vault_connections_closed_total", .counter, ["reason"],
        "Connections that the vault closed: idle, slow_request, slow_reader, pipelined, per_address, crowded_out, full."
    )
    static let certificateExpiry = MetricFamily(
        "coffer_vault_certificate_expiry_time_seconds", .gauge,
        "When the TLS certificate ends, in seconds since 1970; absent without TLS.")
    static let build = MetricFamily("coffer_vault_build_info", .gauge, ["version"], "Always 1.")
    static let started = MetricFamily(
        "process_start_time_seconds", .gauge, "When the process started, in seconds since 1970.")
    static let processCPU = MetricFamily(
        "process_cpu_seconds_total", .counter, "Processor time of the process, user and system.")
    static let processMemory = MetricFamily("process_resident_memory_bytes", .gauge, "Resident memory of the process.")
    static let processFiles = MetricFamily("process_open_fds", .gauge, "Open file descriptors.")
    static let processFilesMax = MetricFamily("process_max_fds", .gauge, "The limit of open file descriptors.")

    /// In the order of the page.
    package static let all = [
        requests, requestSeconds, partSeconds, partProcessor, messagesRefused, tokensRefused, events, attemptsReturned,
        breakerOpen, queue, batch, ledgerFailures, commits, anchorings, anchorAnswers, witnessAnswers, epoch, records,
        accounts, restored, recordsDamaged, storeBytes, ready, connections, connectionsClosed, certificateExpiry, build,
        started, processCPU, processMemory, processFiles, processFilesMax,
    ]
}
