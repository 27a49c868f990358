import ArgumentParser
import Coffer
import Foundation

struct StoreTestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test", abstract: "Try what a store promises.",
        discussion: """
            Writes objects of its own into coffer-store-test, a folder in the store that no backup knows of, reads, lists and \
            deletes them, and says before how much that moves. A backup in the store is not touched. Ctrl-C stops it, and what was \
            written is deleted then, too. The exit status is 0 if the store can be used, and 5 if not.
            """)

    @Argument(help: "The store. Without it this device's own.") var store: String?
    @Flag(help: "Fewer and smaller objects: at most 16 MB instead of 108 MB are moved.") var quick = false
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let device = common.device
        let (store, quick, json) = (store, quick, common.json)
        let test = Task { () async throws -> StoreTest in
            try await device.testStore(
                store, isQuick: quick, begins: { if !json { Self.announce($0) } },
                progress: { if !json { Self.describe($0) } })
        }
        let interruption = Self.stopping(test)
        defer { interruption.forEach { $0.cancel() } }
        let found = try await test.value
        if json { try Output.json(found) } else { Self.conclude(found) }
        guard found.isFit else { throw ExitCode(CofferError.Code.storeUnfit.exitStatus) }
    }

    /// The first time what was written is deleted, which takes a moment; the second time it is left.
    private static func stopping(_ test: Task<StoreTest, any Error>) -> [any DispatchSourceSignal] {
        [SIGINT, SIGTERM, SIGHUP].map { (number: Int32) in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .main)
            source.setEventHandler {
                guard !test.isCancelled else { Foundation.exit(128 + number) }
                test.cancel()
                Output.note("Stopping. What was written is being deleted.")
            }
            source.resume()
            return source
        }
    }

    private static func announce(_ plan: StoreTest.Plan) {
        Output.line(
            "At most \(Words.bytes(plan.bytesUpMax)) are written to \(Output.printable(name: plan.place)), and "
                + "\(Words.bytes(plan.bytesDownMax)) read from it; then all of it is deleted.")
    }

    private static func describe(_ group: StoreTest.Group) {
        let name = "\(group.number < 10 ? " " : "")\(group.number)  \(group.title)".padding(toLength: 46)
        guard group.outcome != .notTried else { return Output.line("\(name)not tried: \(group.words ?? "")") }
        let time = String(format: "%.1f s", group.seconds)
        let word = group.outcome == .failed ? "FAILED" : group.outcome.rawValue
        Output.line(
            "\(name)\(word.padding(toLength: 8))\(time), \(Words.bytes(group.bytesUp)) up, \(Words.bytes(group.bytesDown)) down"
        )
        if let words = group.words { Output.line("    \(Output.printable(name: words))") }
    }

    private static func conclude(_ test: StoreTest) {
        let tried = test.groups.filter { $0.outcome != .notTried }
        let failed = tried.filter { $0.outcome == .failed }
        let weaker = tried.filter { $0.outcome == .weaker }
        if !failed.isEmpty {
            Output.line(
                "Do not keep a backup here: \(failed.count) of \(Words.count(tried.count, "group")) failed. Docs/Stores.md says what each means."
            )
        } else if !weaker.isEmpty {
            Output.line(
                "A backup can be kept here, but the store promises less than others: see above, and Docs/Stores.md.")
        } else {
            Output.line(
                "All \(Words.count(tried.count, "group")) that were tried passed. How it does when the line fails was not tried here."
            )
        }
    }
}

extension String {
    fileprivate func padding(toLength length: Int) -> String {
        self + String(repeating: " ", count: max(1, length - count))
    }
}
