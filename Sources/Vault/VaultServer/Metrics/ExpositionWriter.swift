import Foundation

/// Writes Prometheus' text format, version 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats).
struct ExpositionWriter {
    private(set) var text = ""
    /// Of the present family; sorted by their labels, so that two pages can be compared.
    private var lines: [(key: String, text: String)] = []

    mutating func begin(_ family: MetricFamily) {
        text += "# HELP \(family.name) \(Self.escaped(family.help, quotes: false))\n"
        text += "# TYPE \(family.name) \(family.kind.rawValue)\n"
    }

    mutating func sample(_ family: MetricFamily, _ values: [String], _ number: Double) {
        let labels = Self.labels(family.labels, values)
        lines.append((labels, "\(family.name)\(labels) \(Self.number(number))\n"))
    }

    mutating func histogram(_ family: MetricFamily, _ values: [String], counts: [UInt64], sum: Double) {
        let labels = Self.labels(family.labels, values)
        var text = ""
        var below: UInt64 = 0
        for (place, count) in counts.enumerated() {
            below += count
            let bound = place < family.bounds.count ? Self.number(family.bounds[place]) : "+Inf"
            text += "\(family.name)_bucket\(Self.labels(family.labels + ["le"], values + [bound])) \(below)\n"
        }
        text += "\(family.name)_sum\(labels) \(Self.number(sum))\n"
        text += "\(family.name)_count\(labels) \(below)\n"
        lines.append((labels, text))
    }

    mutating func end() {
        for line in lines.sorted(by: { $0.key < $1.key }) { text += line.text }
        lines = []
    }

    private static func labels(_ names: [String], _ values: [String]) -> String {
        guard !names.isEmpty else { return "" }
        let pairs = zip(names, values).map { "\($0)=\"\(escaped($1, quotes: true))\"" }
        return "{\(pairs.joined(separator: ","))}"
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        let escaped = text.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
        return quotes ? escaped.replacing("\"", with: "\\\"") : escaped
    }

    private static func number(_ value: Double) -> String {
        if let whole = Int64(exactly: value) { return "\(whole)" }
        return value.isNaN ? "NaN" : value.isInfinite ? (value < 0 ? "-Inf" : "+Inf") : "\(value)"
    }
}
