/// One at a time for each name, within this program.
actor NameLocks {
    private var waiting: [String: [CheckedContinuation<Void, Never>]] = [:]

    private func lock(_ name: String) async {
        guard waiting[name] != nil else {
            waiting[name] = []
            return
        }
        await withCheckedContinuation { waiting[name]?.append($0) }
    }

    private func unlock(_ name: String) {
        guard let next = waiting[name]?.first else {
            waiting[name] = nil
            return
        }
        waiting[name]?.removeFirst()
        next.resume()
    }

    nonisolated func holding<Result: Sendable, Failure: Error>(
        _ name: String, _ body: () async throws(Failure) -> Result
    ) async throws(Failure) -> Result {
        await lock(name)
        do throws(Failure) {
            let result = try await body()
            await unlock(name)
            return result
        } catch {
            await unlock(name)
            throw error
        }
    }
}
