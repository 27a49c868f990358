import ByteCoding
import Coffer
import Primitives
import RecoveryProtocol
import Synchronization
import TestSupport
import Testing

/// The newest backup, as the vaults keep it.
@Suite struct `Heads with real vaults` {
    let backupKey = SecretBytes(copying: [UInt8](repeating: 0x4b, count: 32))
    let password = SecretBytes(copying: Array("correct horse".utf8))
    static let argon2 = Argon2Parameters(memoryKiB: 19 * 1024, passes: 2)

    private func registered() async throws -> (RealFleet, FleetClient) {
        let fleet = try await RealFleet()
        let client = try fleet.client()
        _ = try await client.register(backupKey: backupKey, password: password, argon2: Self.argon2)
        return (fleet, client)
    }

    /// Numbered by its first byte.
    private func head(_ number: UInt8) -> SealedHead {
        SealedHead(uncheckedBytes: [UInt8](repeating: number, count: 64))
    }

    @discardableResult
    private func set(_ number: UInt8, _ client: FleetClient) async -> [UInt8] {
        let (vaults, _) = await client.setHead(head(number), backupKey: backupKey) { $0.bytes[0] >= number }
        return vaults.map(\.index).sorted()
    }

    private func seen(_ client: FleetClient) async -> [UInt8] {
        await client.heads(backupKey: backupKey).heads.map { $0.bytes[0] }
    }

    @Test func `a head is kept by all vaults that are up, and given to whoever has the key`() async throws {
        let (fleet, client) = try await registered()
        #expect(await client.heads(backupKey: backupKey).countingAnswers == 5)
        #expect(await seen(client) == [])
        #expect(await set(1, client) == [1, 2, 3, 4, 5])
        fleet.takeDown(2, 4)
        #expect(await set(2, client) == [1, 3, 5])
        fleet.takeDown()
        #expect(await seen(try fleet.client()) == [2, 1, 2, 1, 2])
        #expect(await set(2, client) == [1, 2, 3, 4, 5], "those that have it count")
        #expect(await set(1, client) == [1, 2, 3, 4, 5])
        #expect(await seen(client) == [2, 2, 2, 2, 2], "an older one stays out")
        let stranger = SecretBytes(copying: [UInt8](repeating: 1, count: 32))
        #expect(await client.heads(backupKey: stranger).answers.isEmpty)
    }

    @Test func `lost replies cost nothing, and a change of password keeps the head`() async throws {
        let (fleet, client) = try await registered()
        for (number, passing) in [(1, 0), (2, 5), (3, 10), (4, 12)] as [(UInt8, Int)] {
            fleet.loseReplies(3, after: passing, spread: true)
            #expect(await set(number, client) == [1, 2, 3, 4, 5], "\(passing) passed")
        }
        let other = SecretBytes(copying: Array("another".utf8))
        _ = try await client.register(backupKey: backupKey, password: other, argon2: Self.argon2)
        #expect(await seen(client) == [4, 4, 4, 4, 4])
        _ = await client.remove(backupKey: backupKey)
        _ = try await client.register(backupKey: backupKey, password: other, argon2: Self.argon2)
        #expect(await seen(client) == [])
    }

    @Test func `a device that comes late with an older head finds the newer one and leaves it`() async throws {
        for passing in [6, 10, 11, 13] {
            let (fleet, client) = try await registered()
            await set(6, client)
            let between = Meanwhile(fleet, after: passing) { await set(8, client) }
            let late = try fleet.client(transport: between)
            #expect(await set(7, late).count == 5)
            #expect(await seen(client) == [8, 8, 8, 8, 8], "after \(passing) messages")
        }
    }

    /// Each of the first messages meets another device that has just looked, so that its serial is behind.
    @Test func `a device that meets another one again and again has its say in the end`() async throws {
        let (fleet, client) = try await registered()
        let pauses = Mutex<[Int]>([])
        let between = Meanwhile(fleet, after: 5, times: 15) { await _ = client.heads(backupKey: backupKey) }
        let unlucky = try fleet.client(transport: between, pause: { round in pauses.withLock { $0.append(round) } })
        #expect(await set(7, unlucky) == [1, 2, 3, 4, 5])
        #expect(await seen(client) == [7, 7, 7, 7, 7])
        #expect(pauses.withLock { !$0.isEmpty && $0.allSatisfy((1...7).contains) })
    }

    /// t − 1 = 2 of five serve the head before the last though they acknowledged the last, and stand where it hurts
    /// most: among those that both devices reach, which are as few as can be.
    @Test(arguments: [(5, 3, true), (4, 4, true), (3, 5, true), (4, 3, false), (3, 4, false), (2, 5, false)])
    func `with w + r ≥ n + t a reader sees the head whatever liars say`(w: Int, r: Int, isSeen: Bool) async throws {
        let (fleet, client) = try await registered()
        await set(1, client)
        let all = [1, 2, 3, 4, 5] as [UInt8]
        let (writers, readers) = (Array(all.prefix(w)), Array(all.suffix(r)))
        fleet.takeDown(all.filter { !writers.contains($0) })
        #expect(await set(2, client) == writers)
        fleet.takeDown()
        try fleet.putHeadBack(head(1), at: Array(writers.filter(readers.contains).prefix(2)))
        fleet.takeDown(all.filter { !readers.contains($0) })
        let heads = await client.heads(backupKey: backupKey)
        #expect(heads.countingAnswers == r)
        #expect(heads.heads.map { $0.bytes[0] }.max() == (isSeen ? 2 : 1))
        #expect((w + r >= 5 + 3) == isSeen)
    }

    @Test func `a vault that came back from a backup shows what it has, and does not count`() async throws {
        let (fleet, client) = try await registered()
        await set(1, client)
        try fleet.freeze(1, 2)
        let thawed = await client.heads(backupKey: backupKey)
        #expect(thawed.countingAnswers == 3 && thawed.heads.count == 5)
        // With no t vaults that call the registration active there is no telling whether it is the present one.
        fleet.takeDown(2, 3, 4)
        try fleet.freeze(1)
        let frozen = await client.heads(backupKey: backupKey)
        #expect(frozen.countingAnswers == 1 && frozen.problems.map(\.vault.index) == [2, 3, 4, 1])
        fleet.takeDown()
        await set(2, client)
        #expect(await client.heads(backupKey: backupKey).countingAnswers == 5)
    }

    @Test func `restores are told how many answers they need`() {
        let table: [(acknowledged: Int, needed: Int?)] = [(5, 3), (4, 4), (3, 5), (2, nil), (0, nil)]
        for (acknowledged, needed) in table {
            let told = HeadAcknowledgement(acknowledged: acknowledged, vaults: 5, threshold: 3, problems: [])
            #expect(told.answersNeeded == needed)
            #expect((told.note == nil) == (acknowledged == 5))
        }
        #expect(HeadAcknowledgement(acknowledged: 1, vaults: 1, threshold: 1, problems: []).answersNeeded == 1)
    }
}

/// Lets so many messages through, and then does something before the next one.
private final class Meanwhile: VaultTransport {
    private let fleet: RealFleet
    private let left: Mutex<Int>
    private let times: Int
    private let action: @Sendable () async -> Void

    init(_ fleet: RealFleet, after count: Int, times: Int = 1, _ action: @escaping @Sendable () async -> Void) {
        self.fleet = fleet
        self.times = times
        self.action = action
        left = Mutex(count)
    }

    func announcement(of vault: Fleet.Vault) async throws(VaultTransportError) -> [UInt8] {
        try await fleet.announcement(of: vault)
    }

    func send(_ message: [UInt8], to vault: Fleet.Vault) async throws(VaultTransportError) -> [UInt8] {
        let isTime = left.withLock { left in
            left -= 1
            return (-times..<0).contains(left)
        }
        if isTime { await action() }
        return try await fleet.send(message, to: vault)
    }
}
