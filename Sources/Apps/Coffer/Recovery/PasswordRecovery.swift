package import Primitives
package import RecoveryProtocol

/// Why a password did not bring K back. Each case is another thing to do.
package enum RecoveryError: Error, Sendable {
    /// t vaults answered well, and it is not the password. With the attempts that people are shown.
    case wrongPassword(attemptsLeft: Int, problems: [VaultReport])
    /// Fewer than t vaults answered well, or would have; each that did not is named. At `charged` vaults this entry may
    /// have cost an attempt: handed in again it is free there, while a new entry would be charged anew.
    case tooFewVaults(needed: Int, answered: Int, problems: [VaultReport], charged: Int)
    case tooEarly(until: Timestamp)
    /// The attempts are used up; the shares are erased at this time, and nothing but a repeat of the last attempt
    /// from the program that made it is answered until then.
    case noAttemptsLeft(erasedAt: Timestamp)
    case destroyed(at: Timestamp)
    case notRegistered
    /// The sign-in has expired: get a new token.
    case tokenExpired
    /// The vaults do not accept the sign-in.
    case tokenRefused
    case noToken
    /// This device's clock or the vaults' is wrong.
    case clock
    /// The password is longer than 1,024 bytes.
    case passwordTooLong
    /// The record wants an Argon2id that is too cheap or too dear to be honest.
    case unacceptableRecord
    /// Too little memory for Argon2id. Nothing was charged.
    case notEnoughMemory
    /// The password is right, and what it opens is damaged. Use another protection.
    case damagedEnvelope
}

/// One entry of a password, which may be continued with further vaults. It lives in memory only.
///
/// Keep it as long as the person has not typed another password: whoever tries again without it pays again.
package struct PasswordEntry: Sendable {
    let attempt: PasswordAttempt
    let recordHash: RecordHash
    /// Vaults that may have charged it.
    var chargedAt: [VaultID] = []
}

/// K, and what was learnt on the way.
package struct Recovery: Sendable {
    package let backupKey: SecretBytes
    package let registrationID: RegistrationID
    package let recordHash: RecordHash
    /// Attempts as shown, after this one was given back.
    package let attemptsLeft: Int
    /// Attempts, per vault, that this entry did not make and that stay charged; more than 0 asks for a new password.
    package let strangersAttempts: Int
    /// Vaults that misbehaved or were not reached.
    package let problems: [VaultReport]
    /// Vaults that answer, and have no share, or one that has no attempts left and will be erased. If there are any,
    /// register anew while the password is at hand.
    package let lackingShare: [Fleet.Vault]
}
