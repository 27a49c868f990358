/// What is left to do for a task that was stopped, in a task of its own, which no cancellation reaches; who stopped it waits for some
/// seconds at most.
enum AfterStop {
    private static let secondsMax = 5

    static func run(_ work: @escaping @Sendable () async -> Void) async {
        await Task {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await work() }
                // The wait is what the limit is.
                group.addTask { try? await Task.sleep(for: .seconds(secondsMax)) }
                await group.next()
                group.cancelAll()
            }
        }.value
    }
}
