import ArgumentParser
import Crypt15
import Foundation
import TestSupport

/// `make fuzz-whatsapp`: bends real files of WhatsApp's in every way, and holds what is said of them against what must be so.
///
/// Everything follows from the seed and the number of the round; only when it stops does the clock decide. A round that fails, or ends
/// the program, is named, and `--first` repeats it.
@main
struct WhatsAppFuzz: ParsableCommand {
    @Option(help: "Where the numbers begin.") var seed: UInt64 = 1
    @Option(help: "The first round.") var first: UInt64 = 0
    @Option(help: "How many rounds; without it as many as the minutes have.") var rounds: UInt64?
    @Option(help: "For how long.") var minutes: Double = 1
    @Option(help: "The folder with the vectors.") var vectors = "Specs/vectors/crypt15"

    func run() throws {
        Round.tellWhenKilled()
        let corpus = try Corpus(folder: vectors)
        let began = ContinuousClock.now
        let end = began + .milliseconds(Int(minutes * 60_000))
        var round = first
        var tally = Tally()
        while rounds.map({ round < first + $0 }) ?? (ContinuousClock.now < end) {
            Round.current = round
            var generator = SeededGenerator(seed: seed &* 0x9e37_79b9 &+ round)
            do {
                try corpus.play(&generator, &tally)
            } catch let breach as Breach {
                print("round \(round) of seed \(seed): \(breach.what)")
                throw ExitCode.failure
            }
            round += 1
        }
        let seconds = (ContinuousClock.now - began).components.seconds
        print("fuzz: \(round - first) rounds of seed \(seed) in \(seconds) s, nothing broke; \(tally.words)")
    }
}

/// Something that must never be so was so.
struct Breach: Error {
    let what: String
}

func require(_ isSo: Bool, _ what: @autoclosure () -> String) throws {
    guard isSo else { throw Breach(what: what()) }
}

/// How often each verdict was given, so that a run that tries nothing shows.
struct Tally {
    private var counts: [String: Int] = [:]

    mutating func add(_ what: String) { counts[what, default: 0] += 1 }

    var words: String { counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ") }
}

/// Which round is under way, for the last words of a program that is ended by a trap.
enum Round {
    // One thread writes it, and a handler reads it when that thread goes no further.
    nonisolated(unsafe) static var current: UInt64 = 0

    static func tellWhenKilled() {
        for number in [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGABRT, SIGFPE] {
            signal(number) { number in
                let text = Array("round \(Round.current) ended the program, signal \(number)\n".utf8)
                _ = write(2, text, text.count)
                signal(number, SIG_DFL)
                raise(number)
            }
        }
    }
}
