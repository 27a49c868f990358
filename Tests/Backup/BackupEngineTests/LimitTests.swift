import BackupEngine
import BackupFormat
import Foundation
import ObjectStores
import Synchronization
import TestSupport
import Testing

/// A clock that stands still but for those who wait.
final class StandingClock: Sendable {
    private let nanoseconds = Mutex<UInt64>(0)

    var now: UInt64 { nanoseconds.withLock { $0 } }

    var waiting: WaitingClock {
        WaitingClock(
            now: { self.now }, sleepUntil: { time in self.nanoseconds.withLock { $0 = max($0, time) } })
    }
}

@Suite struct `A token bucket` {
    private static let second: UInt64 = 1_000_000_000

    @Test func `lets no more through in any time than its rate, a burst and one piece, and wastes nothing`() {
        for (rate, piece) in [(1_000, 7), (1_000_000, 1 << 20), (50_000, 16 << 20), (3, 1)] {
            var bucket = TokenBucket(bytesPerSecond: UInt64(rate))
            var now = 5 * Self.second
            let began = now
            var gone: [(time: UInt64, bytes: Int)] = []
            for _ in 0..<300 {
                now = bucket.take(piece, now: now)
                gone.append((now, piece))
            }
            for first in stride(from: 0, to: gone.count, by: 37) {
                var bytes = 0
                for (time, piece) in gone[first...] {
                    bytes += piece
                    let seconds = Double(time - gone[first].time) / 1e9
                    #expect(Double(bytes) <= Double(rate) * (seconds + 0.251) + Double(piece))
                }
            }
            let seconds = Double(now - began) / 1e9
            #expect(Double(300 * piece) >= Double(rate) * seconds * 0.99)
        }
    }

    @Test func `saves nothing up over a pause but one burst`() {
        var bucket = TokenBucket(bytesPerSecond: 1_000)
        _ = bucket.take(1_000, now: Self.second)
        let late = 100_000 * Self.second
        #expect(bucket.take(250, now: late) == late)
        #expect(bucket.take(1_000, now: late) == late + Self.second)
    }

    @Test func `overflows on no number`() {
        for rate in [0, 1, .max] as [UInt64] {
            for now in [0, 1, .max] as [UInt64] {
                var bucket = TokenBucket(bytesPerSecond: rate)
                for bytes in [0, 1, .max, .max, -1, .min] {
                    #expect(bucket.take(bytes, now: now) >= now)
                }
            }
        }
    }
}

@Suite struct `A store with a limit` {
    @Test func `takes a backup and gives it back at its rates, all transfers together`() async throws {
        let folder = try TemporaryFolder()
        for number in 0..<6 { try folder.write(noise(900_000, seed: UInt64(number)), to: "file \(number)") }
        let memory = MemoryStore()
        let wing = try await Wing(memory)
        let clock = StandingClock()
        let up = LimitedStore(
            memory, uploadBytesPerSecond: 100_000, downloadBytesPerSecond: nil, clock: clock.waiting)
        let stored = try await wing.over(up).backUp(folder.path, packBytes: 1 << 20).storedBytes
        let upSeconds = Double(clock.now) / 1e9
        #expect(stored > 5_000_000 && abs(upSeconds - Double(stored) / 100_000) < 1)
        let (files, _) = try await wing.over(up).restored()
        #expect(Double(clock.now) / 1e9 == upSeconds && files.count == 6)
        let down = LimitedStore(
            memory, uploadBytesPerSecond: nil, downloadBytesPerSecond: 200_000, clock: clock.waiting)
        #expect(try await wing.over(down).restored().files == files)
        let downSeconds = Double(clock.now) / 1e9 - upSeconds
        #expect(downSeconds > Double(stored) / 200_000 - 1)
    }

    @Test func `is shared by transfers at the same time`() async throws {
        let memory = MemoryStore()
        let names = (0..<8).map { ObjectName.pack(ObjectID(uncheckedBytes: [UInt8](repeating: $0, count: 16))) }
        let clock = StandingClock()
        let store = LimitedStore(
            memory, uploadBytesPerSecond: 10_000, downloadBytesPerSecond: 10_000, clock: clock.waiting)
        await withTaskGroup(of: Void.self) { group in
            for name in names { group.addTask { try? await store.create(name, noise(10_000, seed: 1)) } }
        }
        // The burst is a quarter of a second's.
        #expect(clock.now == 7_750_000_000)
        await withTaskGroup(of: Void.self) { group in
            for name in names { group.addTask { _ = try? await store.read(name, 0..<10_000) } }
        }
        #expect(clock.now == 15_500_000_000)
        #expect(memory.names.count == 8)
    }
}
