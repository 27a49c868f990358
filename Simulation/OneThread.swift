/// Runs every task of the simulation on the thread that drains it, in the order in which they became ready: clients
/// are written as plain `async` code, and still take turns in the same way whenever the seed is the same.
// Touched by that one thread alone, so it may be called Sendable.
final class OneThread: TaskExecutor, @unchecked Sendable {
    private var ready: [UnownedJob] = []

    func enqueue(_ job: consuming ExecutorJob) { ready.append(UnownedJob(job)) }

    /// Runs what is ready, and what that makes ready, until everybody waits.
    func drain() {
        var next = 0
        while next < ready.count {
            let job = ready[next]
            next += 1
            job.runSynchronously(on: asUnownedTaskExecutor())
        }
        ready.removeAll(keepingCapacity: true)
    }
}
