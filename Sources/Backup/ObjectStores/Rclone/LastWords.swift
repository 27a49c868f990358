import Foundation
import Synchronization

/// What a program says on its way, read to the end so that it never waits for room; the last part is kept.
final class LastWords: Sendable {
    private struct State {
        var tail: [UInt8] = []
        var hasEnded = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private static let bytesMax = 4 << 10
    private let state = Mutex(State())

    init(_ handle: FileHandle) {
        // The thread ends when the program does, and keeps the handle until then.
        Thread.detachNewThread { [self] in
            while let part = try? handle.read(upToCount: 4 << 10), !part.isEmpty { add(part) }
            end()
        }
    }

    /// What was said until now.
    var textNow: String { String(decoding: state.withLock { $0.tail }, as: UTF8.self) }

    /// Whether all has been said: nobody is left who could say anything.
    var hasEnded: Bool { state.withLock { $0.hasEnded } }

    /// When all has been said, or a second later: something that rclone left running may hold the other end for ever.
    func textSoon(_ clock: WaitingClock) async -> String {
        for _ in 0..<50 where !hasEnded {
            await clock.sleepUntil(clock.now() &+ 20_000_000)
        }
        return textNow
    }

    /// When all has been said.
    func text() async -> String {
        await withCheckedContinuation { continuation in
            let hasEnded = state.withLock {
                if !$0.hasEnded { $0.waiting.append(continuation) }
                return $0.hasEnded
            }
            if hasEnded { continuation.resume() }
        }
        return textNow
    }

    private func add(_ part: Data) {
        state.withLock {
            $0.tail += part
            $0.tail.removeFirst(max(0, $0.tail.count - Self.bytesMax))
        }
    }

    private func end() {
        let waiting = state.withLock { state in
            state.hasEnded = true
            defer { state.waiting = [] }
            return state.waiting
        }
        waiting.forEach { $0.resume() }
    }
}
