import ArgumentParser
import VaultServer

struct Restore: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Makes a store that was put back from a copy this vault's present one, with every account frozen.",
        discussion: """
            Put the copy of vault.sqlite (without vault.sqlite-wal and vault.sqlite-shm, if the copy has none) into the \
            folder first. Attempts that were used up since the copy, and shares that were destroyed, would come back \
            with it: so nobody can recover here until a device that has the key was in touch with the vault. People who \
            registered since the copy are delivered by their devices. Tenants, policy and fleet are the copy's: look at \
            them before you serve.
            """)

    @Argument(help: "The vault's folder.")
    var folder: String

    @Flag(help: "The anchor was put back together with the store, and so noticed nothing.")
    var withAnchor = false

    func run() throws {
        let records = try VaultFolder(path: folder).open()
        var generator = SystemRandomNumberGenerator()
        let restored: RestoredStore
        do throws(RestoreError) {
            restored = try records.restore(evenIfCurrent: withAnchor, using: &generator)
        } catch { throw CommandFailure(error) }
        Output.line("restored from epoch \(restored.copyEpoch); the anchor remembered epoch \(restored.lostEpoch)")
        Output.line("Every account is frozen until a device that has its key was in touch.")
        Output.line("Look at `coffer-vault tenant list` before you serve: keys that were withdrawn since are back.")
    }
}

extension CommandFailure {
    fileprivate init(_ error: RestoreError) {
        switch error {
        case .isCurrent(let epoch):
            self.init(
                .cannotCreate,
                "The store is the one that the anchor remembers (epoch \(epoch)), so there is nothing to restore, and "
                    + "nothing was changed. If both were put back together from a copy of the whole folder: --with-anchor."
            )
        case .ledger(let error): self.init(error)
        }
    }
}
