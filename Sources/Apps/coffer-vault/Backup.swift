import ArgumentParser
import ByteCoding
import Foundation
import Primitives
import RecordStores
import RecoveryProtocol
import SecurityModules
import VaultCore
import VaultServer

struct Backup: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Copies a vault into a new folder, also while it serves.",
        discussion: """
            The copy is one moment of the store, proved record by record. It holds no key that opens it: keep \
            security-module.key, which never changes, or the token, apart from it. A vault is never served from a copy as it is: \
            `coffer-vault restore` takes it, with every account frozen. Shares that are destroyed later stay in the copy: \
            keep the newest one, and destroy older ones.
            """)

    /// How far the copy's anchor is ahead of its store: the copy is refused until it is restored, and a restore passes
    /// the serials of as many batches as may have been lost since.
    private static let epochsAhead: UInt64 = 1_000_000

    @Argument(help: "The vault's folder.")
    var folder: String

    @Argument(help: "The folder to make. It must not be there.")
    var target: String

    func run() throws {
        let source = VaultFolder(path: folder)
        let target = String(target.reversed().drop { $0 == "/" }.reversed())
        guard !FileManager.default.fileExists(atPath: target) else {
            throw CommandFailure(.cannotCreate, "\(target) is there already. Nothing was changed.")
        }
        let keys = try source.openKeys()
        // Made under another name, so that a copy that was cut is not taken for one.
        let unfinished = VaultFolder(path: "\(target).unfinished")
        try makeEmpty(unfinished)
        do throws(RecordStoreError) {
            try SQLiteRecordStore(path: source.store, creating: false).copy(to: unfinished.store)
        } catch { throw CommandFailure(LedgerError(error)) }
        let (audit, damaged) = try prove(unfinished, keys.dataKey)
        try finish(unfinished, from: source, as: target)
        let count = audit.recordCount - damaged.count
        Output.line("copied epoch \(audit.epoch), \(count) of \(audit.recordCount) records proved, to \(target)")
        Output.line("Not in it, and needed with it: \(keys.token == nil ? source.wrappingKey : "the token").")
        guard case .damaged(let first)? = damaged.first else { return }
        throw CommandFailure(
            .badFile,
            "The copy is there, and \(damaged.count) of its records are damaged: \(first). `coffer-vault audit` says whether the "
                + "vault's own are. Keep an older copy, too.")
    }

    private func makeEmpty(_ folder: VaultFolder) throws(CommandFailure) {
        let files = FileManager.default
        do {
            if files.fileExists(atPath: folder.path) { try files.removeItem(atPath: folder.path) }
            try files.createDirectory(
                atPath: folder.path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch { throw CommandFailure(.cannotCreate, "The folder \(folder.path) cannot be made.") }
    }

    /// Adds what opens the store with the security module's help, and gives the folder its name.
    private func finish(
        _ copy: VaultFolder, from source: VaultFolder, as target: String
    ) throws(CommandFailure) {
        let files = FileManager.default
        let pairs = [
            (source.wrappedDataKey, copy.wrappedDataKey), (source.tokenSettings, copy.tokenSettings),
            (source.publicKey, copy.publicKey),
        ]
        do {
            for (from, to) in pairs where files.fileExists(atPath: from) {
                try files.copyItem(atPath: from, toPath: to)
            }
            try files.moveItem(atPath: copy.path, toPath: target)
        } catch {
            throw CommandFailure(
                .fileAccess, "\(target) cannot be written. What is in \(copy.path) is no copy: delete it.")
        }
    }

    /// Proves the copy as it lies on the disk, and gives it an anchor of its own if the vault's is a file.
    private func prove(_ copy: VaultFolder, _ dataKey: SecretBytes) throws(CommandFailure) -> (
        audit: StoreAudit, damaged: [LedgerError]
    ) {
        let store: SQLiteRecordStore
        do throws(RecordStoreError) { store = try SQLiteRecordStore(path: copy.store, creating: false) } catch {
            throw CommandFailure(LedgerError(error))
        }
        let proof: (audit: StoreAudit, damaged: [LedgerError])
        let settings: AnchorSettings
        do throws(LedgerError) {
            settings = try SealedRecords.anchoring(of: store, dataKey: dataKey).settings
            proof = try SealedRecords(store: store, dataKey: dataKey, anchor: FirstBatchAnchor()).proveCopy()
        } catch { throw CommandFailure(error) }
        do throws(RecordStoreError) { try store.close() } catch { throw CommandFailure(LedgerError(error)) }
        guard case .file(let path) = settings, !path.hasPrefix("/") else { return proof }
        var generator = SystemRandomNumberGenerator()
        do throws(AnchorError) {
            _ = try FileAnchor.create(
                path: copy.anchorPath(path),
                holding: AnchoredHead(epoch: proof.audit.epoch + Self.epochsAhead, hash: .random(using: &generator)))
        } catch { throw CommandFailure(LedgerError(error)) }
        return proof
    }
}
