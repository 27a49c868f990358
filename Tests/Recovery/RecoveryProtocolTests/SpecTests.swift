import Foundation
import RecoveryProtocol
import TestSupport
import Testing

/// What Specs/recovery.md states in tables is what the code does.
@Suite struct `Specification` {
    let text: String

    init() throws {
        var root = URL(filePath: #filePath)
        for _ in 0..<4 { root.deleteLastPathComponent() }
        text = try String(contentsOf: root.appending(path: "Specs/recovery.md"), encoding: .utf8)
    }

    @Test func `names every label`() {
        for label in Label.allCases {
            #expect(text.contains("`\(label.rawValue.dropFirst("coffer/v1/".count))`"), "\(label.rawValue)")
        }
    }

    /// Rows like `| 5, 3 | 6 | 10 | 12 | 18 | – | …`.
    @Test func `has the bound table that the fleet computes`() throws {
        var samples = Samples(seed: 60)
        for count in stride(from: 1, through: 15, by: 2) {
            let fleet = try samples.fleet(of: count).fleet
            let guesses = (0..<fleet.threshold).compactMap { fleet.guessesMax(corrupt: $0).map(String.init) }
            let cells = ["\(count), \(fleet.threshold)", "\(fleet.attemptsPerVault)"] + guesses
            #expect(text.contains("| " + cells.joined(separator: " | ") + " |"), "\(cells)")
        }
    }
}
