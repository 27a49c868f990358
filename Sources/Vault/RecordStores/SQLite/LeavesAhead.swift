import Dispatch
import Foundation
import GRDB
import Synchronization

/// Brings the leaves of a large store into the system's cache, several pages at a time, while a start reads them in their
/// order: they lie scattered among the records, and a disk asked for one page after the other mostly rests.
///
/// It only makes the reading that counts faster. Nothing that it reads is used, and what fails here fails there.
final class LeavesAhead: Sendable {
    /// Below it a start takes a second or two.
    private static let slotCountMin: UInt64 = 500_000
    private static let readers = 16
    private static let pieceSlots: UInt64 = 20_000

    private let path: String
    private let slotCount: UInt64
    private let next = Mutex<UInt64>(0)
    private let group = DispatchGroup()

    init(path: String, slotCount: UInt64) {
        self.path = path
        self.slotCount = slotCount
        guard slotCount >= Self.slotCountMin else { return }
        for _ in 0..<Self.readers {
            group.enter()
            // Threads, for they wait: a queue of Dispatch begins with as many as there are processors.
            Thread { [self, group] in
                try? read()
                group.leave()
            }.start()
        }
    }

    /// Returns when nothing of it is at work any more.
    func stop() {
        next.withLock { $0 = slotCount }
        group.wait()
    }

    private func read() throws {
        var configuration = Configuration()
        configuration.readonly = true
        let store = try DatabaseQueue(path: path, configuration: configuration)
        while let piece = take() {
            try store.unsafeRead { database in
                // Looks at every page of the leaves, and at nothing in them.
                let count = try database.cachedStatement(
                    sql: "SELECT count(*) FROM leaves WHERE slot >= ? AND slot < ?")
                _ = try Int64.fetchOne(
                    count, arguments: [Int64(clamping: piece.lowerBound), Int64(clamping: piece.upperBound)])
            }
        }
        try store.close()
    }

    private func take() -> Range<UInt64>? {
        next.withLock { next in
            guard next < slotCount else { return nil }
            defer { next += Self.pieceSlots }
            return next..<next + Self.pieceSlots
        }
    }
}
