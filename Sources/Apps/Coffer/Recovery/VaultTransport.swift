package import RecoveryProtocol

/// Carries bytes to a vault and back. It is believed in nothing: whatever comes back is signed or sealed.
package protocol VaultTransport: Sendable {
    /// The body of `GET /v1/key`.
    func announcement(of vault: Fleet.Vault) async throws(VaultTransportError) -> [UInt8]
    /// The body that `POST /v1/message` answers.
    func send(_ message: [UInt8], to vault: Fleet.Vault) async throws(VaultTransportError) -> [UInt8]
}

package enum VaultTransportError: Error, Equatable {
    /// No connection, or a broken answer. With words for the person, without secrets.
    case unreachable(String)
    /// Nothing came back in time. Unlike after a broken connection, asking again would only take as long again.
    case timedOut
    /// Something answered, but not with a vault's reply: perhaps the channel key has changed. The HTTP status.
    case refused(status: Int)
}

/// Gets the sign-in token for one vault. A token for all would let one bad vault burn the attempts at the others.
package typealias VaultTokens = @Sendable (Fleet.Vault) async throws -> [UInt8]

/// Returns when a request to this vault has lasted too long.
package typealias VaultDeadline = @Sendable (Fleet.Vault) async -> Void

/// Returns when the others need no longer be waited for, called once enough vaults have answered.
package typealias VaultGrace = @Sendable () async -> Void

/// Lets another device go first that is at the same vaults, from the first time (1) on each time longer, and by chance.
package typealias VaultPause = @Sendable (_ round: Int) async -> Void

/// What is wrong with one vault, for this client, now.
package enum VaultProblem: Error, Equatable, Sendable {
    case unreachable(String)
    /// It did not answer in time.
    case timedOut
    /// Its channel key is genuine, and not valid by this device's clock.
    case clock
    case misbehaves(VaultFault)
    case refused(Refusal)
    /// The app, `--token-file` or `--token-command` gave no token for it.
    case noToken
    /// It took a replacement without the old key down, and carries it out when it is asked again from this time on.
    case waiting(until: Timestamp)
    /// The registration there came in the place of another without that one's key: the password may be the old one's.
    case replacedWithoutKey(at: Timestamp)
}

/// A vault that did not do its part, by name.
package struct VaultReport: Sendable, Equatable {
    package let vault: Fleet.Vault
    package let problem: VaultProblem

    package init(vault: Fleet.Vault, problem: VaultProblem) {
        self.vault = vault
        self.problem = problem
    }
}
