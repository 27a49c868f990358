import Synchronization

/// The numbers of one process, in memory. Every call is short and waits for nobody but another such call.
package final class VaultMetrics: Sendable {
    private struct Sample: Hashable, Sendable {
        let name: String
        let labels: [String]
    }

    private struct Histogram: Sendable {
        /// One for each bound and one for what is above all of them; not cumulative.
        var counts: [UInt64]
        var sum = 0.0
    }

    private struct Values: Sendable {
        var numbers: [Sample: Double] = [:]
        var histograms: [Sample: Histogram] = [:]
    }

    private let values = Mutex(Values())

    /// `version` is this program's, for the build's line.
    package init(version: String? = nil) {
        if let version { set(Metrics.build, [version], to: 1) }
        // An alert on the first failure needs the zero before it.
        for (family, words) in [
            (Metrics.commits, ["done", "unavailable", "unknown_outcome", "damaged"]),
            (Metrics.anchorings, ["done", "unavailable", "damaged"]),
            (
                Metrics.ledgerFailures,
                ["unavailable", "unknown_outcome", "damaged", "anchor_unavailable", "anchor_damaged", "rolled_back"]
            ),
        ] { for word in words { count(family, [word], by: 0) } }
        count(Metrics.recordsDamaged, by: 0)
    }

    func count(_ family: MetricFamily, _ labels: [String] = [], by number: Int = 1) {
        values.withLock { $0.numbers[Sample(name: family.name, labels: labels), default: 0] += Double(number) }
    }

    func set(_ family: MetricFamily, _ labels: [String] = [], to value: Double) {
        values.withLock { $0.numbers[Sample(name: family.name, labels: labels)] = value }
    }

    func value(_ family: MetricFamily) -> Double? {
        values.withLock { $0.numbers[Sample(name: family.name, labels: [])] }
    }

    func observe(_ family: MetricFamily, _ value: Double) { observe(family, [], value) }

    func observe(_ family: MetricFamily, _ labels: [String], _ value: Double) {
        let place = family.bounds.firstIndex { value <= $0 } ?? family.bounds.count
        values.withLock { values in
            let sample = Sample(name: family.name, labels: labels)
            var histogram =
                values.histograms[sample] ?? Histogram(counts: Array(repeating: 0, count: family.bounds.count + 1))
            // Taken out first, so that the counts are changed in place.
            values.histograms[sample] = nil
            histogram.counts[place] += 1
            histogram.sum += value
            values.histograms[sample] = histogram
        }
    }

    /// Measures one part of the work, failed or not.
    func timed<Value, Failure: Error>(
        _ part: String, _ body: () throws(Failure) -> Value
    ) throws(Failure) -> Value {
        let start = ContinuousClock.now
        defer { observe(Metrics.partSeconds, [part], start.duration(to: .now).inSeconds) }
        return try body()
    }

    /// The same for a part that waits.
    nonisolated(nonsending) func timed<Value, Failure: Error>(
        _ part: String, _ body: nonisolated(nonsending) () async throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let start = ContinuousClock.now
        defer { observe(Metrics.partSeconds, [part], start.duration(to: .now).inSeconds) }
        return try await body()
    }

    /// The page that Prometheus reads (text format 0.0.4).
    package func page(of families: [MetricFamily] = Metrics.all) -> String {
        let values = values.withLock { $0 }
        var page = ExpositionWriter()
        for family in families {
            page.begin(family)
            for (sample, number) in values.numbers where sample.name == family.name {
                page.sample(family, sample.labels, number)
            }
            for (sample, histogram) in values.histograms where sample.name == family.name {
                page.histogram(family, sample.labels, counts: histogram.counts, sum: histogram.sum)
            }
            page.end()
        }
        return page.text
    }
}

extension Duration {
    var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
