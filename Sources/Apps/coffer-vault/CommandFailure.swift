import Foundation

/// Why a command stopped, in words for people.
struct CommandFailure: Error {
    /// Stable exit codes, after sysexits.h.
    enum Status: Int32 {
        /// A self-test found a mismatch.
        case mismatch = 1
        /// A file that was given does not read.
        case badFile = 65
        /// Something that is needed cannot be had now.
        case unavailable = 69
        /// What should be made is there already, or cannot be made.
        case cannotCreate = 73
        /// A file cannot be read or written.
        case fileAccess = 74
        /// The store is not the one that the anchor remembers.
        case rolledBack = 76
        /// A secret file is open to others.
        case notPrivate = 77
        /// The vault is not set up for what was asked.
        case notSetUp = 78
    }

    let status: Status
    let text: String

    init(_ status: Status, _ text: String) {
        self.status = status
        self.text = text
    }
}

/// What the commands print. Unbuffered: whoever waits for the line that says ready gets it. A reader that went away is
/// no reason for a vault to stop.
enum Output {
    static func line(_ text: String) { try? FileHandle.standardOutput.write(contentsOf: Data("\(text)\n".utf8)) }
    /// One log line, with its end: in one write, so that lines of two threads do not mix.
    static func errorText(_ line: String) { try? FileHandle.standardError.write(contentsOf: Data(line.utf8)) }
    static func error(_ text: String) { errorText("\(text)\n") }
}

/// Files that are public.
enum PublicFile {
    static func read(_ path: String, bytesMax: Int = 1 << 20) throws(CommandFailure) -> [UInt8] {
        let data: Data?
        do {
            let file = try FileHandle(forReadingFrom: URL(filePath: path))
            defer { try? file.close() }
            data = try file.read(upToCount: bytesMax + 1)
        } catch { throw CommandFailure(.fileAccess, "\(path) cannot be read.") }
        guard let data, data.count <= bytesMax else {
            throw CommandFailure(.badFile, "\(path) is empty or too large.")
        }
        return [UInt8](data)
    }

    static func text(_ path: String) throws(CommandFailure) -> String {
        guard let text = String(validating: try read(path), as: UTF8.self) else {
            throw CommandFailure(.badFile, "\(path) is not text.")
        }
        return text
    }

    /// Replaces the file in one step.
    static func write(_ text: String, to path: String) throws(CommandFailure) {
        do { try Data(text.utf8).write(to: URL(filePath: path), options: .atomic) } catch {
            throw CommandFailure(.fileAccess, "\(path) cannot be written.")
        }
    }
}
