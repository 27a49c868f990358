import Foundation
import Synchronization

/// The rclone of this program's run: started when it is first needed, started again if it ends by itself, and ended with the last
/// store that uses it.
package actor RcloneProcess: RcloneService {
    /// The oldest that was tried; Debian 12's 1.60 has no socket that only one user can reach.
    package static let versionMin = RcloneVersion(major: 1, minor: 65)
    private static let startSecondsMax: UInt64 = 60
    private static let lookMilliseconds: UInt64 = 20
    /// How often it may take a question at its start, and not answer.
    private static let silencesMax = 12
    private static let silence = StoreTransportError.broken("nothing moves on the line")
    /// How often it may end by itself, or fall silent, before that is told, and for how long that counts.
    private static let endsMax = 3
    private static let endsNanoseconds: UInt64 = 600_000_000_000

    private let environment: [String: String]
    private let transport: any StoreTransport
    private let clock: WaitingClock
    private var run: RcloneRun?
    private var starting: Task<Result<RcloneRun, StoreFailure>, Never>?
    /// When it ended by itself, and what it said at last.
    private var ends: [UInt64] = []
    private var saidAtEnd = ""

    /// - Parameters:
    ///   - environment: of the person, where rclone and its configuration are found.
    ///   - transport: by which it is asked at its start; it must not wait for long.
    ///   - clock: for looking whether it answers.
    package init(
        environment: [String: String], transport: any StoreTransport = HTTPStoreTransport(stall: .seconds(5)),
        clock: WaitingClock = .continuous
    ) {
        self.environment = environment
        self.transport = transport
        self.clock = clock
    }

    private struct Weak: Sendable {
        weak var process: RcloneProcess?
    }

    private static let current = Mutex(Weak())

    /// One for all stores of a program's run.
    package static func shared() -> RcloneProcess {
        current.withLock { current in
            if let process = current.process { return process }
            let process = RcloneProcess(environment: ProcessInfo.processInfo.environment)
            current.process = process
            return process
        }
    }

    /// Where rclone is on this device; nil if it is not installed.
    package static func program(_ environment: [String: String]) -> String? {
        (environment["PATH"] ?? "").split(separator: ":").map { "\($0)/rclone" }
            .first { $0.hasPrefix("/") && access($0, X_OK) == 0 }
    }

    package func endpoint() async throws(StoreFailure) -> RcloneEndpoint {
        if let run {
            if run.isAlive { return run.endpoint }
            hasEnded()
            saidAtEnd = Self.said(await run.words.textSoon(clock))
        }
        let count = recentEnds
        guard count < Self.endsMax else {
            throw StoreFailure(.permanent, "rclone ended by itself, \(count) times\(saidAtEnd)")
        }
        let starting = starting ?? Task { await start() }
        self.starting = starting
        let result = await starting.value
        // Whoever waited longer finds a later one here, and leaves it alone.
        if self.starting == starting {
            self.starting = nil
            run = try? result.get()
        }
        return try result.get().endpoint
    }

    package func isSilent(_ url: String) {
        guard let run, run.endpoint.url == url else { return }
        saidAtEnd = Self.said(run.words.textNow)
        hasEnded()
    }

    package func lastWords() -> String { run.map { Self.said($0.words.textNow) } ?? saidAtEnd }

    /// Whoever let it go ends it, if it runs.
    private func hasEnded() {
        run = nil
        ends.append(clock.now())
    }

    private var recentEnds: Int {
        let now = clock.now()
        ends.removeAll { now - $0 > Self.endsNanoseconds }
        return ends.count
    }

    /// The shell that watches over it, and what they say, while they run.
    var running: (processID: Int32, words: LastWords)? {
        run.flatMap { $0.isAlive ? ($0.processID, $0.words) : nil }
    }

    private func start() async -> Result<RcloneRun, StoreFailure> {
        do throws(StoreFailure) {
            guard let program = Self.program(environment) else {
                throw StoreFailure(.noPlace, "the program rclone is not there; install it from https://rclone.org")
            }
            let run = try RcloneRun(program: program, environment: environment)
            let version = try await firstAnswer(of: run, program)
            guard version >= Self.versionMin else { throw Self.tooOld(version, program) }
            return .success(run)
        } catch {
            return .failure(error)
        }
    }

    /// Looks until it answers, or has ended.
    private func firstAnswer(of run: RcloneRun, _ program: String) async throws(StoreFailure) -> RcloneVersion {
        let deadline = clock.now() + Self.startSecondsMax * 1_000_000_000
        let request = StoreRequest(
            method: "POST", url: "\(run.endpoint.url)/core/version",
            headers: run.endpoint.headers, answerBytesMax: 1 << 20)
        var silences = 0
        while clock.now() < deadline, silences < Self.silencesMax {
            let answer: StoreAnswer?
            do throws(StoreTransportError) { answer = try await transport.send(request) } catch {
                answer = nil
                if error == Self.silence { silences += 1 }
            }
            if let answer {
                guard answer.status == 200, let version = RcloneVersion(answer: answer.body) else {
                    throw StoreFailure(.noPlace, "\(program) does not answer as rclone does")
                }
                return version
            }
            guard run.isAlive else {
                let words = await run.words.textSoon(clock)
                if let version = RcloneVersion(of: program, environment), version < Self.versionMin {
                    throw Self.tooOld(version, program)
                }
                throw StoreFailure(.noPlace, "rclone does not start\(Self.said(words))")
            }
            await clock.sleepUntil(clock.now() + Self.lookMilliseconds * 1_000_000)
        }
        throw StoreFailure(.noPlace, "rclone does not answer within \(Self.startSecondsMax) seconds of its start")
    }

    private static func tooOld(_ version: RcloneVersion, _ program: String) -> StoreFailure {
        StoreFailure(
            .noPlace,
            "rclone \(versionMin) or later is needed, and \(program) is \(version); there are newer ones at https://rclone.org"
        )
    }

    /// The last line that it said, without the time.
    private static func said(_ text: String) -> String {
        guard let line = text.split(whereSeparator: \.isNewline).last else { return "" }
        let words = line.drop { "0123456789/: ".contains($0) }
        return ": \(RcloneFailure.words(String(words)))"
    }
}
