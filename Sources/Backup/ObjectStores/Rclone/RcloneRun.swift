import ByteCoding
import Foundation
import Primitives

/// One run of `rclone rcd`, which ends when this is let go, or with us.
final class RcloneRun: Sendable {
    /// A socket's path has no more room on some systems (`sun_path`).
    private static let socketPathBytesMax = 103

    let endpoint: RcloneEndpoint
    let words: LastWords
    private let process: Process
    /// rclone's watch has the other end. Whoever closes it ends rclone.
    private let hold: FileHandle
    private let folder: String

    /// - Parameters:
    ///   - program: rclone's path.
    ///   - environment: ours; what would change what rclone does is left out of it.
    init(program: String, environment: [String: String]) throws(StoreFailure) {
        folder = try Self.makeSocketFolder(environment)
        let socket = Self.socket(folder)
        var generator = SystemRandomNumberGenerator()
        let password = Hex.encode(generator.bytes(32))
        endpoint = RcloneEndpoint(
            url: "http+unix://\(PercentEncoding.encoded(socket))",
            authorization: "Basic \(Data("coffer:\(password)".utf8).base64EncodedString())")
        process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", RcloneWatch.script, "coffer-rclone", folder, program] + Self.arguments(socket)
        process.environment =
            Self.environment(environment).merging(
                ["RCLONE_RC_USER": "coffer", "RCLONE_RC_PASS": password], uniquingKeysWith: { $1 })
        // A remote of rclone's may lie in a folder that it names by half a path; that means one folder, wherever we are called.
        let home = environment["HOME"].flatMap { access($0, X_OK) == 0 ? $0 : nil } ?? "/"
        process.currentDirectoryURL = URL(fileURLWithPath: home)
        let (input, errors) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = FileHandle.nullDevice
        process.standardError = errors
        hold = input.fileHandleForWriting
        _ = fcntl(hold.fileDescriptor, F_SETFD, FD_CLOEXEC)
        guard Self.startWithSignals(process) else {
            rmdir(folder)
            throw StoreFailure(.noPlace, "rclone could not be started: /bin/sh cannot be run")
        }
        words = LastWords(errors.fileHandleForReading)
    }

    deinit {
        try? hold.close()
        guard !process.isRunning else { return }
        // Its watch may have been killed with it.
        unlink(Self.socket(folder))
        rmdir(folder)
    }

    private static func socket(_ folder: String) -> String { "\(folder)/rc.sock" }

    /// What it says ends before the system tells us that it has ended itself.
    var isAlive: Bool { process.isRunning && !words.hasEnded }

    /// Of `sh`, which is rclone's parent.
    var processID: Int32 { process.processIdentifier }

    /// Threads of ours that wait for work block nearly all signals, and a program inherits that: it could not be told to end, nor
    /// the shell that its program has.
    private static func startWithSignals(_ process: Process) -> Bool {
        var (none, ours) = (sigset_t(), sigset_t())
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &ours)
        defer { pthread_sigmask(SIG_SETMASK, &ours, nil) }
        return (try? process.run()) != nil
    }

    private static func arguments(_ socket: String) -> [String] {
        [
            "rcd", "--rc-serve", "--rc-addr", "unix://\(socket)",
            // Nobody is there to be asked.
            "--ask-password=false",
            "--log-level", "ERROR", "--stats", "0",
            // A whole pack is taken in before it is sent on, so that rclone knows its length and hash, and can send it again.
            "--streaming-upload-cutoff", "17M", "--buffer-size", "0",
            // Answers are not kept once they are given.
            "--rc-job-expire-duration", "1s", "--rc-job-expire-interval", "1s",
        ]
    }

    static func environment(_ environment: [String: String]) -> [String: String] {
        environment.filter { name, _ in !name.hasPrefix("RCLONE_") || RcloneVariables.isLetThrough(name) }
    }

    /// A new folder that only this user enters.
    private static func makeSocketFolder(_ environment: [String: String]) throws(StoreFailure) -> String {
        let folders = [environment["XDG_RUNTIME_DIR"], environment["TMPDIR"], "/tmp"].compactMap { $0 }
        for folder in folders where folder.hasPrefix("/") {
            var template = Array("\(folder)/coffer-rclone-XXXXXX".utf8CString)
            guard template.count + "/rc.sock".utf8.count <= socketPathBytesMax, mkdtemp(&template) != nil else {
                continue
            }
            return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        throw StoreFailure(.noPlace, "rclone could not be started: no temporary folder takes its socket")
    }
}
