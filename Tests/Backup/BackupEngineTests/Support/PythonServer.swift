import Foundation

/// A server of other people's making that a script of the tests starts; it prints where it is, and ends when its input does, which is
/// when this process does.
final class PythonServer: Sendable {
    struct NotRunning: Error {
        let words = "a server of the tests does not start: scripts/setup --tests installs it"
    }

    /// The first line that the script printed.
    let line: String
    /// Held open: the server ends when this is closed.
    private let held: [Pipe]

    /// - Parameter script: below `Tests`.
    convenience init(_ script: String, _ arguments: [String] = []) throws {
        try self.init(arguments: [Self.root.appendingPathComponent("Tests/\(script)").path] + arguments)
    }

    /// - Parameter module: in `Tests/Support`.
    convenience init(module: String, _ arguments: [String] = []) throws {
        try self.init(arguments: ["-m", module] + arguments, folder: Self.root.appendingPathComponent("Tests/Support"))
    }

    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private init(arguments: [String], folder: URL? = nil) throws {
        let process = Process()
        process.executableURL = Self.root.appendingPathComponent(".build-tools/python/bin/python")
        process.arguments = arguments
        if let folder { process.currentDirectoryURL = folder }
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        held = [input, output]
        var line: [UInt8] = []
        while line.last != 0x0a {
            let part = output.fileHandleForReading.availableData
            guard !part.isEmpty else { throw NotRunning() }
            line += part
        }
        self.line = String(decoding: line.dropLast(), as: UTF8.self)
    }
}
