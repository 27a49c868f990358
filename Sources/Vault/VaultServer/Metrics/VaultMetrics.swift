import Synchronization

/// The numbers of one process, in memory. Every call is short and waits for nobody but another such call.
package final class VaultMetrics: Sendable {
    fileprivate struct Sample: Hashable, Sendable {
        let name: String
        let labels: [String]
    }

    fileprivate struct Histogram: Sendable {
        /// One for each bound and one for what is above all of them; not cumulative.
        var counts: [UInt64]
        var sum = 0.0

        init(of family: MetricFamily) { counts = Array(repeating: 0, count: family.bounds.count + 1) }

        var isEmpty: Bool { counts.allSatisfy { $0 == 0 } }

        mutating func add(_ value: Double, at place: Int) {
            counts[place] += 1
            sum += value
        }
    }

    fileprivate struct Values: Sendable {
        var numbers: [Sample: Double] = [:]
        var histograms: [Sample: Histogram] = [:]
        /// What each message is measured by has a place of its own: to find six of them by their names took as long as to
        /// seal the reply.
        var parts = [Histogram](repeating: Histogram(of: Metrics.partSeconds), count: Part.allCases.count)
        var partProcessor = [UInt64](repeating: 0, count: Part.allCases.count)
        var requests = Histogram(of: Metrics.requestSeconds)
    }

    /// The values of the label `part`.
    enum Part: Int, CaseIterable, Sendable { case open, token, ledger, evaluate, seal, commit, anchor, erase }

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
        let place = Self.place(of: value, in: family.bounds)
        values.withLock { values in
            values.histograms[Sample(name: family.name, labels: labels), default: Histogram(of: family)]
                .add(value, at: place)
        }
    }

    func observe(_ part: Part, _ time: PartTime) {
        let seconds = time.elapsed.inSeconds
        let place = Self.place(of: seconds, in: Metrics.secondsBounds)
        values.withLock { values in
            values.parts[part.rawValue].add(seconds, at: place)
            values.partProcessor[part.rawValue] &+= time.processorNanoseconds
        }
    }

    /// From a whole message to its sealed reply.
    func observeRequest(since start: ContinuousClock.Instant) {
        let seconds = start.duration(to: .now).inSeconds
        let place = Self.place(of: seconds, in: Metrics.secondsBounds)
        values.withLock { $0.requests.add(seconds, at: place) }
    }

    private static func place(of value: Double, in bounds: [Double]) -> Int {
        bounds.firstIndex { value <= $0 } ?? bounds.count
    }

    /// Measures one part of the work, failed or not.
    func timed<Value, Failure: Error>(
        _ part: Part, _ body: () throws(Failure) -> Value
    ) throws(Failure) -> Value {
        var time = PartTime()
        defer { observe(part, time) }
        return try time.add(body)
    }

    /// The same for a part that waits. Its processor time is not counted: while it waits, its thread works for others.
    nonisolated(nonsending) func timed<Value, Failure: Error>(
        _ part: Part, _ body: nonisolated(nonsending) () async throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let start = ContinuousClock.now
        defer { observe(part, PartTime(elapsed: start.duration(to: .now))) }
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
            for (labels, seconds) in values.processor(of: family) { page.sample(family, labels, seconds) }
            for (labels, histogram) in values.histograms(of: family) {
                page.histogram(family, labels, counts: histogram.counts, sum: histogram.sum)
            }
            page.end()
        }
        return page.text
    }
}

extension VaultMetrics.Values {
    fileprivate func processor(of family: MetricFamily) -> [(labels: [String], seconds: Double)] {
        guard family.name == Metrics.partProcessor.name else { return [] }
        return VaultMetrics.Part.allCases.filter { partProcessor[$0.rawValue] > 0 }
            .map { (["\($0)"], Double(partProcessor[$0.rawValue]) / 1e9) }
    }

    fileprivate func histograms(of family: MetricFamily) -> [(labels: [String], histogram: VaultMetrics.Histogram)] {
        let named = histograms.filter { $0.key.name == family.name }.map { ($0.key.labels, $0.value) }
        switch family.name {
        case Metrics.requestSeconds.name: return requests.isEmpty ? named : named + [([], requests)]
        case Metrics.partSeconds.name:
            let measured = VaultMetrics.Part.allCases.filter { !parts[$0.rawValue].isEmpty }
            return named + measured.map { (["\($0)"], parts[$0.rawValue]) }
        default: return named
        }
    }
}

extension Duration {
    var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
