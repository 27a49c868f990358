/// What a witness tells about itself, on a page of its own. Labels are words of this program: which vault asked stands in
/// the vault's own metrics.
///
/// `Docs/Operating.md` has the same table; a test compares them.
extension Metrics {
    static let witnessQuestions = MetricFamily(
        "coffer_witness_questions_total", .counter, ["outcome"],
        "Questions of vaults: answered, malformed, unknown_vault, or unavailable when a head could not be kept.")
    static let witnessHeads = MetricFamily(
        "coffer_witness_heads_kept_total", .counter, "Newer heads that were kept before the answer said so.")
    static let witnessVaults = MetricFamily(
        "coffer_witness_vaults", .gauge, "Vaults that this witness watches.")
    static let witnessConnections = MetricFamily("coffer_witness_connections", .gauge, "Open connections.")
    static let witnessConnectionsClosed = MetricFamily(
        "coffer_witness_connections_closed_total", .counter, ["reason"],
        "Connections that the witness closed, for a vault's reasons.")
    static let witnessBuild = MetricFamily("coffer_witness_build_info", .gauge, ["version"], "Always 1.")

    package static let ofWitness = [
        witnessQuestions, witnessHeads, witnessVaults, witnessConnections, witnessConnectionsClosed, witnessBuild,
        started, processCPU, processMemory, processFiles, processFilesMax,
    ]
}

extension WitnessRefusal {
    var metricWord: String {
        switch self {
        case .malformed: "malformed"
        case .unknownVault: "unknown_vault"
        case .unavailable: "unavailable"
        }
    }
}

extension WitnessService {
    /// `version` is this program's, for the build's line.
    package func show(version: String) {
        metrics.set(Metrics.witnessBuild, [version], to: 1)
        for outcome in ["answered", "malformed", "unknown_vault", "unavailable"] {
            metrics.count(Metrics.witnessQuestions, [outcome], by: 0)
        }
        metrics.count(Metrics.witnessHeads, by: 0)
    }

    /// The body of `GET /metrics`.
    package func metricsPage() -> String {
        metrics.set(Metrics.witnessVaults, to: Double(vaultCount))
        ProcessFacts.show(in: metrics)
        return metrics.page(of: Metrics.ofWitness)
    }
}
