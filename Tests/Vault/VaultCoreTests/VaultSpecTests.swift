import Foundation
import Testing
import VaultCore

/// Specs/vault.md says what the code does.
@Suite struct VaultSpecTests {
    @Test func `the specification names every label`() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..")
        let text = try String(contentsOf: root.appending(path: "Specs/vault.md"), encoding: .utf8)
        for label in VaultLabel.allCases {
            #expect(text.contains("`\(label.rawValue.dropFirst("coffer/v1/".count))`"), "\(label.rawValue)")
        }
    }
}
