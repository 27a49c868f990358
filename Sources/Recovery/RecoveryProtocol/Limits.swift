/// The limits of every field whose size varies, in bytes unless the name says otherwise.
package enum Limits {
    package static let vaultsMax = 15
    package static let tokenBytes = 0...1_536
    package static let tenantBytes = 1...64
    package static let accountBytes = 1...128
    package static let passwordBytes = 0...1_024
    package static let urlBytes = 1...255
    package static let urlsPerVaultMax = 4
    package static let earlierGenerationsMax = 64
    package static let vaultsEverMax = 255
    /// Receipts in one Confirm, and so the largest budget of a vault.
    package static let receiptsMax = 64
    /// Registrations that a vault may hold for one account: active, previous, two places for pending ones, and one
    /// that waits to replace the active one without its key.
    package static let heldRecordsMax = 5
    package static let certificatesMax = 2
    /// More than there are kinds, so that a full history can always join two entries of one kind. As many as fit a reply
    /// beside the most attempts.
    package static let historyEntriesMax = 22

    /// Plaintext of a sealed request and of a sealed reply, whatever they hold.
    package static let requestPlaintextBytes = 4_096
    package static let replyPlaintextBytes = 2_048
}
