import ArgumentParser
import ByteCoding
import Foundation
import GRDB
import Primitives
import RecordStores
import RecoveryProtocol
import SecurityModules
import TestSupport
import VaultCore
import VaultServer

/// Puts accounts into a vault that has none: rows in the store's own layout, sealed by the vault's sealer, under one head
/// that is made and anchored at the end as the ledger does it.
struct Fill: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Puts accounts into the store of a vault that is down.")

    @Argument(help: "The vault's folder.") var folder: String
    @Option(help: "The fleet file.") var fleet: String
    @Option(help: "How many accounts.") var accounts: Int

    private struct Report: Encodable {
        let accounts: Int
        let seconds: Double
        let recordBytes: Int
    }

    func run() throws {
        let began = Clock.now()
        let folder = BenchFolder(path: folder)
        let dataKey = try folder.dataKey()
        let sealer = RecordSealer(dataKey: dataKey)
        let people = try Accounts(fleetPath: fleet)
        let head: LedgerHead
        let previous: KeyedHead
        do {
            let store = try SQLiteRecordStore(path: folder.store, creating: false)
            let view = try SealedRecords(store: store, dataKey: dataKey, anchor: folder.anchor).load([])
            head = view.head
            previous = try KeyedHead(decoding: view.snapshot.head)
            try store.close()
        }
        let bytes = try insert(people, after: head, sealer, folder)
        let store = try SQLiteRecordStore(path: folder.store, creating: false)
        let root = try store.leaves().leaves.index().tree.root
        let next = sealer.keyed(
            LedgerHead(
                vaultID: head.vaultID, epoch: head.epoch + 1, slotCount: head.slotCount + UInt64(accounts), root: root,
                previous: previous.hash, time: head.time))
        try store.commit(
            RecordBatch(expectedEpoch: head.epoch, epoch: head.epoch + 1, head: next.encoded(), records: []))
        try folder.anchor.advance(to: next)
        try store.close()
        try Output.json(
            Report(accounts: accounts, seconds: Double(Clock.now() - began) / 1e9, recordBytes: bytes))
    }

    /// Returns the size of a sealed record. A cut run leaves a store that no vault opens.
    private func insert(
        _ people: Accounts, after head: LedgerHead, _ sealer: RecordSealer, _ folder: BenchFolder
    ) throws -> Int {
        let queue = try DatabaseQueue(path: folder.store)
        defer { try? queue.close() }
        var generator = SeededGenerator(seed: head.epoch)
        let template = try people.template()
        var bytes = 0
        try queue.writeWithoutTransaction { database in
            for pragma in [
                "locking_mode = EXCLUSIVE", "journal_mode = OFF", "synchronous = OFF", "cache_size = -3000000",
            ] {
                _ = try Row.fetchAll(database, sql: "PRAGMA \(pragma)")
            }
            // One transaction: each would write the indexes' pages anew, all of them, for keys are random.
            try database.inTransaction(.immediate) {
                let record = try database.cachedStatement(
                    sql: "INSERT INTO records (slot, key, epoch, due, sealed) VALUES (?, ?, ?, NULL, ?)")
                let leaf = try database.cachedStatement(
                    sql: "INSERT INTO leaves (slot, key, due, hash) VALUES (?, ?, NULL, ?)")
                for number in 0..<accounts {
                    let slot = head.slotCount + UInt64(number)
                    let key = sealer.account(try Accounts.name(number))
                    var plaintext = template.bytes
                    Accounts.write(number, into: &plaintext, at: template.nameOffset)
                    let sealed = sealer.seal(
                        wiping: &plaintext, key: key, slot: slot, epoch: head.epoch + 1, using: &generator)
                    bytes = sealed.count
                    try record.execute(arguments: [
                        Int64(slot), Data(key.bytes), Int64(head.epoch + 1), Data(sealed),
                    ])
                    try leaf.execute(arguments: [Int64(slot), Data(key.bytes), Data(sha256(sealed))])
                }
                return .commit
            }
        }
        return bytes
    }
}
