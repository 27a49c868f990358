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

extension Clock {
    /// User and system seconds of another process.
    static func processorSeconds(of process: Int32) throws -> Double {
        let text = try String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
        // The program's name, in parentheses, may hold spaces; fields 14 and 15 are the 12th and 13th after it.
        let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ").dropFirst()
        let ticks = fields.dropFirst(11).prefix(2).compactMap { Double($0) }
        return ticks.reduce(0, +) / Double(sysconf(Int32(_SC_CLK_TCK)))
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
