import Foundation

/// A folder that goes away with the test.
final class TemporaryFolder: Sendable {
    let root: URL

    init() throws {
        root = FileManager.default.temporaryDirectory.appending(path: "coffer-vault-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: root) }

    func path(_ name: String) -> String { root.appending(path: name).path }

    /// The bytes of every file in it, one after the other.
    func bytesOfAllFiles() throws -> [UInt8] {
        try FileManager.default.contentsOfDirectory(at: root, includingPropertiesForKeys: nil)
            .reduce(into: []) { $0 += [UInt8](try Data(contentsOf: $1)) }
    }
}
