import ArgumentParser
import Foundation

/// What `bench_vault.py` has no way to do fast: the parts of an evaluation, millions of accounts, and requests
/// that were made before they are sent. Each command prints one line of JSON.
@main struct VaultBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vault-bench", abstract: "Measures a vault. See Benchmarks/bench_vault.py.",
        subcommands: [Parts.self, Fill.self, Load.self])
}

enum Output {
    static func json(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        print(String(decoding: try encoder.encode(value), as: UTF8.self))
    }
}

extension [UInt64] {
    /// The value below which this share of them lies; in milliseconds, of nanoseconds.
    func milliseconds(at share: Double) -> Double {
        guard !isEmpty else { return 0 }
        let position = Swift.min(count - 1, Int((Double(count) * share).rounded(.up)) - 1)
        return Double(sorted()[Swift.max(0, position)]) / 1e6
    }
}
