import ByteCoding
import Primitives
import TestSupport

/// The run is over: whoever still waits goes home.
struct Over: Error {}

/// A rule that was broken, and where.
struct Breach: Equatable {
    let check: Check
    let text: String
}

/// What is the same for every seed of a round.
struct Settings {
    var plant: Plant?
    var watching: Check?
    var isVerbose = false
}

/// Time, chance, and a trace of everything that happened, from one seed.
// One thread runs all of it (`OneThread`), so it may be called Sendable.
final class World: @unchecked Sendable {
    let seed: UInt64
    let plant: Plant?
    let isVerbose: Bool
    /// With a plant: the one check that looks.
    let watching: Check?
    private(set) var milliseconds: UInt64 = 0
    private(set) var breach: Breach?
    private(set) var isOver = false
    /// No more faults: what is left must work.
    var isCalm = false
    private var random: SeededGenerator
    private var agenda = Agenda()
    private let thread = OneThread()
    private var waiters: [Waiter] = []
    private var trace: [UInt8] = []
    private(set) var digest = [UInt8](repeating: 0, count: 32)

    init(_ seed: UInt64, _ settings: Settings) {
        self.seed = seed
        plant = settings.plant
        watching = settings.watching
        isVerbose = settings.isVerbose
        // Neighbouring seeds must not be the same numbers shifted by one, so the state is an output of the generator.
        var mixer = SeededGenerator(seed: seed)
        random = SeededGenerator(seed: mixer.next())
    }

    // MARK: Chance

    /// A generator of its own for one part of the world, so that parts do not disturb each other's draws.
    func generator() -> SeededGenerator { SeededGenerator(seed: random.next()) }

    func draw(_ range: Range<Int>) -> Int { Int.random(in: range, using: &random) }

    func chance(perMille: Int) -> Bool { draw(0..<1000) < perMille }

    func pick<Element>(_ elements: [Element]) -> Element? {
        elements.isEmpty ? nil : elements[draw(0..<elements.count)]
    }

    func shuffled<Element>(_ elements: [Element]) -> [Element] { elements.shuffled(using: &random) }

    // MARK: Time

    func after(milliseconds: Int, _ action: @escaping () -> Void) {
        agenda.add(atMilliseconds: self.milliseconds + UInt64(max(milliseconds, 0)), action)
    }

    func every(seconds: Range<Int>, while isNeeded: @escaping () -> Bool, _ action: @escaping () -> Void) {
        after(milliseconds: draw(seconds) * 1000) { [self] in
            guard isNeeded() else { return }
            action()
            every(seconds: seconds, while: isNeeded, action)
        }
    }

    func sleep(seconds: Int) async throws(Over) {
        let waiter = Waiter()
        waiters.append(waiter)
        after(milliseconds: seconds * 1000) { waiter.wake() }
        await waiter.wait()
        if isOver { throw Over() }
    }

    /// Waits for an answer; nil if `waiter` is woken without one.
    func join(_ waiter: Waiter) async throws(Over) {
        waiters.append(waiter)
        await waiter.wait()
        if isOver { throw Over() }
        if waiters.count > 256 { waiters.removeAll { $0.isAwake } }
    }

    func spawn(_ body: @escaping @Sendable () async -> Void) {
        Task(executorPreference: thread) { await body() }
    }

    /// Lets `seconds` pass, or less if a rule is broken before.
    func run(seconds: Int) {
        let end = milliseconds + UInt64(seconds) * 1000
        thread.drain()
        while breach == nil, let next = agenda.nextMilliseconds, next <= end, let event = agenda.removeFirst() {
            milliseconds = event.milliseconds
            event.action()
            thread.drain()
        }
        if breach == nil { milliseconds = end }
    }

    /// Sends everybody home, so that no task is left waiting.
    func end() {
        isOver = true
        while !waiters.isEmpty {
            let sleeping = waiters
            waiters = []
            for waiter in sleeping { waiter.wake() }
            thread.drain()
        }
        // What is planned holds everything else.
        agenda = Agenda()
        flush()
    }

    // MARK: What happened

    func fail(_ check: Check, _ text: @autoclosure () -> String) {
        guard breach == nil, watching == nil || watching == check else { return }
        breach = Breach(check: check, text: "\(text()) (at \(milliseconds) ms)")
    }

    func note(_ text: @autoclosure () -> String) {
        let line = "\(milliseconds) \(text())\n"
        if isVerbose { print(line, terminator: "") }
        trace += Array(line.utf8)
        if trace.count > 1 << 16 { flush() }
    }

    private func flush() {
        digest = sha256(digest + trace)
        trace = []
    }
}

/// Somebody who waits for one thing.
final class Waiter {
    private var continuation: UnsafeContinuation<Void, Never>?
    private(set) var isAwake = false

    func wake() {
        guard !isAwake else { return }
        isAwake = true
        continuation?.resume()
        continuation = nil
    }

    func wait() async {
        guard !isAwake else { return }
        await withUnsafeContinuation { continuation = $0 }
    }
}

extension [UInt8] {
    /// The first bytes, to tell things apart in a trace.
    var short: String { Hex.encode(prefix(4)) }
}
