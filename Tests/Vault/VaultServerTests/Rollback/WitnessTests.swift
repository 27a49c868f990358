import ByteCoding
import Primitives
import RecoveryProtocol
import Synchronization
import TestSupport
import Testing
import VaultCore
import VaultServer

/// A witness's memory that can be put back, or can fail.
final class MemoryOfWitness: WitnessMemory {
    private let contents = Mutex<[WatchedVault]>([])
    private let isFull = Mutex(false)

    func vaults() throws(AnchorError) -> [WatchedVault] { contents.withLock { $0 } }
    func restore(_ copy: [WatchedVault]) { contents.withLock { $0 = copy } }
    func fill() { isFull.withLock { $0 = true } }

    func keep(_ vault: WatchedVault) throws(AnchorError) {
        guard !isFull.withLock({ $0 }) else { throw .unavailable("full") }
        contents.withLock { contents in
            contents.removeAll { $0.vaultID == vault.vaultID }
            contents.append(vault)
        }
    }
}

/// Four witnesses and what carries the questions to them.
final class WitnessRoom: WitnessTransport {
    enum Behaviour: Sendable {
        case honest, down
        /// Gives the answer that it gave first, whatever is asked.
        case replays
        /// Says that it keeps what it was sent, and keeps nothing.
        case forgets
    }

    let keys: [SigningKey]
    let memories: [MemoryOfWitness]
    private let services: Mutex<[WitnessService]>
    private let behaviours: Mutex<[Behaviour]>
    private let recorded: Mutex<[[UInt8]?]>
    private let rounds = Mutex(0)

    init(count: Int = 4) throws {
        var generator = SystemRandomNumberGenerator()
        let keys = (0..<count).map { _ in SigningKey.random(using: &generator) }
        let memories = (0..<count).map { _ in MemoryOfWitness() }
        self.keys = keys
        self.memories = memories
        services = Mutex(try zip(keys, memories).map { try WitnessService(key: $0, memory: $1) })
        behaviours = Mutex(Array(repeating: .honest, count: count))
        recorded = Mutex(Array(repeating: nil, count: count))
    }

    var witnesses: [Witness] { keys.enumerated().map { Witness(key: $1.verifyingKey, url: "http://w\($0).invalid") } }
    var roundCount: Int { rounds.withLock { $0 } }

    func watch(_ identity: VerifyingKey) throws {
        for service in services.withLock({ $0 }) { try service.watch(identity) }
    }

    func set(_ behaviour: Behaviour, _ indices: Int...) {
        behaviours.withLock { for index in indices { $0[index] = behaviour } }
    }

    /// Puts a witness's memory back, as whoever holds its disk would, and starts it again.
    func restore(_ index: Int, _ copy: [WatchedVault]) throws {
        memories[index].restore(copy)
        let service = try WitnessService(key: keys[index], memory: memories[index])
        services.withLock { $0[index] = service }
    }

    func exchange(
        _ request: [UInt8], with witnesses: [Witness], until isEnough: ([[UInt8]?]) -> Bool
    ) -> [[UInt8]?] {
        rounds.withLock { $0 += 1 }
        let (services, behaviours) = (services.withLock { $0 }, behaviours.withLock { $0 })
        return services.indices.map { index in
            let answer: [UInt8]? =
                switch behaviours[index] {
                case .down: nil
                case .honest: try? services[index].answer(request)
                case .replays: recorded.withLock { $0[index] }
                case .forgets: forgetful(request, keys[index])
                }
            recorded.withLock { if $0[index] == nil { $0[index] = answer } }
            return answer
        }
    }

    private func forgetful(_ request: [UInt8], _ key: SigningKey) -> [UInt8]? {
        guard let request = try? WitnessRequest(decoding: request) else { return nil }
        return try? WitnessAnswer(to: request, held: request.head, signedBy: key).encoded()
    }
}

@Suite struct WitnessTests {
    private let room: WitnessRoom
    private let store = MemoryRecordStore()
    private let identity: SigningKey
    private let records: SealedRecords
    private let settings: WitnessSettings
    private let dataKey = SecretBytes(copying: [UInt8](repeating: 3, count: 32))

    init() throws {
        room = try WitnessRoom()
        var generator = SystemRandomNumberGenerator()
        let seed = VaultIdentity(seed: .random(32, using: &generator))
        identity = seed.signingKey
        settings = try #require(WitnessSettings(witnesses: room.witnesses, faultyMax: 1))
        _ = try VaultAdministration(
            records: SealedRecords(store: store, dataKey: dataKey, anchor: FirstBatchAnchor())
        ).create(name: "w", identity: seed, anchor: .witnesses(settings), using: &generator)
        try room.watch(identity.verifyingKey)
        records = SealedRecords(
            store: store, dataKey: dataKey,
            anchor: WitnessAnchor(settings: settings, identity: identity, transport: room))
    }

    /// The vault as a new process would open it, on this store.
    private func opened(_ store: MemoryRecordStore? = nil) -> SealedRecords {
        SealedRecords(
            store: store ?? self.store, dataKey: dataKey,
            anchor: WitnessAnchor(settings: settings, identity: identity, transport: room))
    }

    private func step(_ records: SealedRecords) throws {
        var generator = SystemRandomNumberGenerator()
        let view = try records.load([])
        let time = LedgerTime(seconds: view.time.seconds + 1, servingSeconds: generator.next() >> 1)
        try records.commit([], time: time, on: view, using: &generator)
    }

    private func expectRollback(_ records: SealedRecords, _ comment: Comment) {
        do {
            _ = try records.load([])
            Issue.record(comment)
        } catch {
            guard case .rolledBack = error else {
                Issue.record("\(comment): \(error)")
                return
            }
        }
    }

    @Test func `the quorum is that of the design, and fewer than 3f + 1 witnesses are refused`() throws {
        let quorums = [(1, 0, 1), (3, 0, 2), (4, 1, 3), (5, 1, 4), (7, 2, 5), (15, 4, 10)]
        for (count, faulty, quorum) in quorums {
            let witnesses = try WitnessRoom(count: count).witnesses
            #expect(WitnessSettings(witnesses: witnesses, faultyMax: faulty)?.quorum == quorum)
        }
        #expect(WitnessSettings(witnesses: Array(room.witnesses.prefix(3)), faultyMax: 1) == nil)
        #expect(WitnessSettings(witnesses: room.witnesses + [room.witnesses[0]], faultyMax: 1) == nil)
        #expect(WitnessSettings(witnesses: [], faultyMax: 0) == nil)
        let kept = AnchorSettings.witnesses(settings)
        #expect(try AnchorSettings(decoding: kept.encoded()) == kept)
    }

    @Test func `a vault goes on with one witness down, at one round trip a batch`() throws {
        room.set(.down, 2)
        try step(records)
        let before = room.roundCount
        for _ in 0..<5 { try step(records) }
        #expect(room.roundCount == before + 5)
        try step(opened())
    }

    @Test func `with fewer than a quorum nothing is answered, and nothing is committed twice`() throws {
        try step(records)
        room.set(.down, 0, 1)
        let epoch = store.copied().epoch
        #expect(throws: LedgerError.self) { try step(records) }
        #expect(throws: LedgerError.self) { try step(records) }
        #expect(throws: LedgerError.self) { try opened().load([]) }
        #expect(store.copied().epoch == epoch + 1, "no second head before the first is anchored")
        room.set(.honest, 0)
        try step(records)
        #expect(store.copied().epoch == epoch + 2)
    }

    @Test func `a store and everything beside it put back is refused, for the witnesses are elsewhere`() throws {
        try step(records)
        let old = store.copied()
        try step(records)
        try step(records)
        store.restore(old)
        expectRollback(opened(), "the old store was served")
        expectRollback(records, "the running process served the old store")
    }

    @Test func `one validly signed head above the store's is enough to refuse`() throws {
        try step(records)
        let memories = try room.memories.map { try $0.vaults() }
        let old = store.copied()
        try step(records)
        store.restore(old)
        // Three of four are put back with the store: more than are borne; the fourth is enough.
        for index in 0..<3 { try room.restore(index, memories[index]) }
        expectRollback(opened(), "the head of the fourth witness was overlooked")
    }

    @Test func `a minority of witnesses rolled back changes nothing`() throws {
        try step(records)
        let memory = try room.memories[1].vaults()
        let old = store.copied()
        for _ in 0..<3 { try step(records) }
        try room.restore(1, memory)
        let present = store.copied()
        store.restore(old)
        room.set(.down, 0)
        expectRollback(opened(), "a quorum with one that was put back accepted the old store")
        store.restore(present)
        try step(opened())
    }

    @Test func `answers that were recorded and are replayed count for nothing`() throws {
        room.set(.honest, 0, 1, 2, 3)
        _ = try records.load([])
        let old = store.copied()
        for _ in 0..<3 { try step(records) }
        store.restore(old)
        // The first answers of all were of that time. With two that replay there is no quorum.
        room.set(.replays, 0, 1)
        #expect(throws: LedgerError.self) { try opened().load([]) }
        room.set(.honest, 1)
        expectRollback(opened(), "a replayed answer was believed")
    }

    @Test func `a witness that says it keeps and does not is borne`() throws {
        room.set(.forgets, 3)
        try step(records)
        let old = store.copied()
        try step(records)
        store.restore(old)
        room.set(.honest, 3)
        expectRollback(opened(), "the others remember")
    }

    @Test func `a machine resumed twice from one snapshot: one goes on, the other answers nothing`() throws {
        try step(records)
        let twinStore = MemoryRecordStore()
        twinStore.restore(store.copied())
        let twin = opened(twinStore)
        _ = try twin.load([])
        try step(records)
        #expect(throws: LedgerError.self) { try step(twin) }
        expectRollback(twin, "the twin went on")
        try step(records)
        expectRollback(opened(twinStore), "the twin's store was served")
    }

    @Test func `a crash after some witnesses heard of a head is completed`() throws {
        try step(records)
        for heard in 0..<4 {
            room.set(.down, 0, 1, 2, 3)
            for index in 0..<heard { room.set(.honest, index) }
            // With three there is a quorum already.
            if heard < 3 {
                #expect(throws: LedgerError.self) { try step(records) }
            } else {
                try step(records)
            }
            room.set(.honest, 0, 1, 2, 3)
            try step(opened())
            _ = try records.load([])
        }
    }

    @Test func `a head that another key signed, or of a lower epoch, moves no witness`() throws {
        let service = try WitnessService(key: room.keys[0], memory: room.memories[0])
        var generator = SeededGenerator(seed: 5)
        func ask(_ head: SignedHead?) throws -> AnchoredHead? {
            let request = WitnessRequest(
                vaultID: VaultID(identityKey: identity.verifyingKey), nonce: .random(using: &generator), head: head)
            let answer = try WitnessAnswer(decoding: service.answer(request.encoded()))
            #expect(answer.isValid(for: request, from: room.witnesses[0], identityKey: identity.verifyingKey))
            let other = WitnessRequest(vaultID: request.vaultID, nonce: .random(using: &generator))
            #expect(!answer.isValid(for: other, from: room.witnesses[0], identityKey: identity.verifyingKey))
            #expect(!answer.isValid(for: request, from: room.witnesses[1], identityKey: identity.verifyingKey))
            return answer.held?.head
        }
        func head(_ epoch: UInt64, _ byte: UInt8, _ key: SigningKey) throws -> SignedHead {
            try SignedHead(
                AnchoredHead(epoch: epoch, hash: try HeadHash([UInt8](repeating: byte, count: 32))),
                of: VaultID(identityKey: identity.verifyingKey), signedBy: key)
        }
        let nine = try head(900, 9, identity)
        #expect(try ask(nine) == nine.head)
        for refused in [
            try head(901, 1, room.keys[0]), try head(899, 1, identity), try head(900, 1, identity),
        ] { #expect(try ask(refused) == nine.head) }
        #expect(throws: WitnessRefusal.malformed) { try service.answer([1, 2, 3]) }
        #expect(throws: WitnessRefusal.unknownVault) {
            try service.answer(
                WitnessRequest(vaultID: .random(using: &generator), nonce: .random(using: &generator)).encoded())
        }
        room.memories[0].fill()
        #expect(throws: WitnessRefusal.unavailable) {
            let request = WitnessRequest(
                vaultID: VaultID(identityKey: identity.verifyingKey), nonce: .random(using: &generator),
                head: try head(902, 1, identity))
            _ = try service.answer(request.encoded())
        }
        #expect(try ask(nil) == nine.head, "what was not kept is not claimed")
    }
}
