import Foundation

/// The first two numbers of rclone's version.
package struct RcloneVersion: Comparable, Sendable, CustomStringConvertible {
    package var major: Int
    package var minor: Int

    package init(major: Int, minor: Int) {
        self.major = major
        self.minor = minor
    }

    /// `v1.65.2`, `1.60.1-DEV`
    package init?(_ text: some StringProtocol) {
        let numbers = text.drop { $0 == "v" }.split(separator: ".", omittingEmptySubsequences: false)
        guard numbers.count >= 2, let major = Int(numbers[0]), let minor = Int(numbers[1].prefix { $0.isNumber }),
            major >= 0, minor >= 0
        else { return nil }
        (self.major, self.minor) = (major, minor)
    }

    /// From the answer to `core/version`.
    init?(answer: [UInt8]) {
        struct Answer: Decodable {
            let version: String
        }
        guard let answer = try? JSONDecoder().decode(Answer.self, from: Data(answer)) else { return nil }
        self.init(answer.version)
    }

    /// From what the program itself prints: one that is too old starts no server that could be asked.
    init?(of program: String, _ environment: [String: String]) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = ["version"]
        process.environment = RcloneRun.environment(environment)
        let printed = Pipe()
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = printed
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return nil }
        let text = String(decoding: (try? printed.fileHandleForReading.readToEnd()) ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        guard text.hasPrefix("rclone ") else { return nil }
        self.init(text.dropFirst("rclone ".count).prefix { !$0.isNewline })
    }

    package static func < (left: RcloneVersion, right: RcloneVersion) -> Bool {
        (left.major, left.minor) < (right.major, right.minor)
    }

    package var description: String { "\(major).\(minor)" }
}
