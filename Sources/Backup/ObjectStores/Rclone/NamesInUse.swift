import Synchronization

/// One writer at a time for each name, in order, among those of this program.
final class NamesInUse: Sendable {
    /// Who waits for a name that is in use.
    private let waiting = Mutex<[String: [CheckedContinuation<Void, Never>]]>([:])

    func alone<Result, Failure: Error>(
        with name: String, _ body: () async throws(Failure) -> Result
    ) async throws(Failure) -> Result {
        await enter(name)
        defer { leave(name) }
        return try await body()
    }

    private func enter(_ name: String) async {
        await withCheckedContinuation { continuation in
            let isFree = waiting.withLock {
                guard $0[name] != nil else {
                    $0[name] = []
                    return true
                }
                $0[name]?.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
    }

    private func leave(_ name: String) {
        let next = waiting.withLock { waiting -> CheckedContinuation<Void, Never>? in
            guard let queue = waiting[name], !queue.isEmpty else {
                waiting[name] = nil
                return nil
            }
            return waiting[name]?.removeFirst()
        }
        next?.resume()
    }
}
