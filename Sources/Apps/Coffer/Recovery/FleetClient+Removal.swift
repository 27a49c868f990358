package import Primitives
package import RecoveryProtocol

/// What `remove` did at each vault.
package struct Removal: Sendable {
    package internal(set) var deleted: [Fleet.Vault] = []
    /// Nothing of the account was there.
    package internal(set) var absent: [Fleet.Vault] = []
    /// Still holding a share, or unknown. Until fewer than t vaults hold one, the password still opens K.
    package internal(set) var problems: [VaultReport] = []
    /// Set if the sign-in alone is why t vaults may still hold one.
    package internal(set) var signInFault: SignInFault?
}

extension FleetClient {
    /// Erases the account's registrations wherever this K manages them, or one that it takes the place of. It can be
    /// repeated for vaults that were down.
    /// - Parameter spared: vaults that are left as they are, since a newer fleet file has them too.
    package func remove(
        backupKey: SecretBytes, earlierKeys: [SecretBytes] = [], sparing spared: [VaultID] = []
    ) async -> Removal {
        var status = await statusForChange()
        status.spare(spared)
        let managers = await managers(backupKey, earlierKeys, status)
        var removal = Removal()
        removal.problems = status.problems
        var targets: [(vault: Fleet.Vault, serial: UInt64)] = []
        var registrations: [VaultID: RegistrationID] = [:]
        for (vault, reply) in status.answered {
            guard let active = reply.held.first(where: { $0.role == .active }) else {
                removal.absent.append(vault)
                continue
            }
            registrations[vault.id] = active.registrationID
            targets.append((vault, reply.serial))
        }
        let answers = await signedOperation(at: targets) { context in
            guard let id = registrations[context.vaultID],
                let bytes = try? SignedBytes.delete(context, registrationID: id)
            else { return nil }
            return .delete(
                DeleteRequest(
                    serial: context.serial, registrationID: id, signature: managers.key(id).sign(bytes)))
        }
        for (vault, answer) in answers {
            do throws(VaultProblem) {
                guard case .deleted = try answer.accepted() else { throw .misbehaves(.garbage) }
                removal.deleted.append(vault)
            } catch .refused(.notRegistered) {
                removal.absent.append(vault)
            } catch {
                removal.problems.append(VaultReport(vault: vault, problem: error))
            }
        }
        // Done is when fewer than t may still hold a share: when n−t+1 have answered.
        let vaults = fleet.currentVaults.count
        removal.signInFault = SignInFault(removal.problems, vaults: vaults, needed: vaults - fleet.threshold + 1)
        return removal
    }
}
