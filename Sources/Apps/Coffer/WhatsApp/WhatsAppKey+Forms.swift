import BackupSources
import Crypt15
import Primitives

extension WhatsAppKey {
    /// The 16 groups, to be shown to the person and to nobody else.
    public func revealGroups() -> [String] { root.revealGroups() }

    /// Lends the key as the phone keeps it in `encrypted_backup.key`.
    public func withKeyFile(_ body: (UnsafeRawBufferPointer) throws(CofferError) -> Void) throws(CofferError) {
        try root.keyFile().withBytes(body)
    }
}

extension CofferError {
    init(_ error: KeyProof.Failure, in backup: String) {
        switch error {
        case .unreadable(let words):
            self.init(.noSource, "\(backup) cannot be read: \(words).", advice: "Check its name and its permissions.")
        case .notABackup:
            self.init(
                .notABackup,
                "\(backup) is not an end-to-end encrypted backup of WhatsApp's: no key can be tried with it.",
                advice: "Name a .crypt15 file of yours, for example msgstore.db.crypt15.")
        case .missingLibrary(let error): self.init(error)
        }
    }
}
