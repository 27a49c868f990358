import Coffer
import Foundation
import Synchronization

/// Shows how far an operation is: a line that renews itself on a terminal, a plain line now and then elsewhere.
final class ProgressDisplay: Sendable {
    private struct State {
        var phase: ProgressUpdate.Phase?
        var phaseBegan = ContinuousClock.now
        var shown: ContinuousClock.Instant?
        var lineIsOpen = false
    }

    private static let terminalInterval = Duration.milliseconds(200)
    private static let plainInterval = Duration.seconds(10)

    private let isTerminal = isatty(STDERR_FILENO) == 1
    private let isSilent: Bool
    private let state = Mutex(State())

    private init(silent: Bool) { isSilent = silent }

    /// Shows how far an operation is while it runs, and nothing of it afterwards.
    static func during<Result>(
        _ common: CommonOptions, _ operation: (@escaping ProgressHandler) async throws -> Result
    ) async throws -> Result {
        let display = ProgressDisplay(silent: common.json)
        defer { display.finish() }
        return try await operation(display.handler)
    }

    private var handler: ProgressHandler {
        { [self] update in show(update) }
    }

    private func show(_ update: ProgressUpdate) {
        guard !isSilent else { return }
        state.withLock { state in
            let now = ContinuousClock.now
            let isNewPhase = state.phase != update.phase
            if isNewPhase {
                state.phase = update.phase
                state.phaseBegan = now
            }
            let interval = isTerminal ? Self.terminalInterval : Self.plainInterval
            if let shown = state.shown, now - shown < interval, !(isNewPhase && !isTerminal) { return }
            state.shown = now
            let text = line(update, seconds: Self.seconds(now - state.phaseBegan))
            if isTerminal {
                state.lineIsOpen = true
                Output.write("\r\u{1b}[K\(text)", to: .standardError)
            } else {
                Output.note(text)
            }
        }
    }

    /// Clears the line, so that what follows stands alone.
    func finish() {
        state.withLock { state in
            guard state.lineIsOpen else { return }
            state.lineIsOpen = false
            Output.write("\r\u{1b}[K", to: .standardError)
        }
    }

    private func line(_ update: ProgressUpdate, seconds: Double) -> String {
        let files = "\(update.files) of \(Words.count(update.filesTotal, "file"))"
        switch update.phase {
        case .scanning:
            return "Looking: \(Words.count(update.filesTotal, "file")), \(Words.bytes(update.bytesTotal))"
        case .backingUp, .restoring, .verifying:
            let verb =
                switch update.phase {
                case .backingUp: "Backing up"
                case .restoring: "Restoring"
                default: "Verifying"
                }
            let bytes = "\(Words.bytes(update.bytes)) of \(Words.bytes(update.bytesTotal))"
            return "\(verb): \(files), \(bytes)\(rate(update, seconds: seconds))"
        }
    }

    /// Rate and time left, once there is something to judge by.
    private func rate(_ update: ProgressUpdate, seconds: Double) -> String {
        guard seconds >= 1, update.bytes > 0 else { return "" }
        let perSecond = Double(update.bytes) / seconds
        let left = Double(update.bytesTotal - min(update.bytes, update.bytesTotal)) / perSecond
        return ", \(Words.bytes(UInt64(perSecond)))/s, \(Words.duration(Int(left.rounded(.up)))) left"
    }

    private static func seconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
    }
}
