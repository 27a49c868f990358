import BackupEngine
import BackupFormat
import Primitives
import RecoveryProtocol

/// What a store says of itself before anyone has its key. None of it is proven until then.
public struct ClaimedStore: Sendable {
    public let place: String
    /// The fleet whose vaults hold the key, if the store names one; a fleet that cannot be read stops nobody who has the key.
    public var fleet: FleetSummary? {
        get throws(CofferError) {
            guard let fleetText else { return nil }
            return FleetSummary(try FleetAccess.fleet(of: fleetText))
        }
    }

    let fleetText: String?
    let store: any ObjectStore

    /// Looks at a store.
    ///
    /// - Parameters:
    ///   - limit: how fast it is read; nil for no limit.
    ///   - stateFolder: where this device keeps its sign-ins at stores; nil for the usual place.
    public static func at(
        _ location: String, limit: TransferLimit? = nil, stateFolder: String? = nil
    ) async throws(CofferError) -> ClaimedStore {
        let store = try StoreLocation.open(
            location, limit: limit, device: DeviceFolder(path: stateFolder))
        let header: StoreHeader
        do { header = try await Repository.claimedHeader(in: store) } catch {
            throw CofferError(error, place: store.place)
        }
        return ClaimedStore(place: store.place, fleetText: header.fleet, store: store)
    }

    /// Opens it with the 64-digit key.
    /// - Parameter signIn: with one, the vaults that the store names are asked whether it shows the newest backup.
    public func open(with key: SixtyFourDigitKey, signIn: SignIn? = nil) async throws(CofferError) -> OpenedBackup {
        var backup = try await OpenedBackup(store: store, key: key.key)
        let fleetText = backup.repository.header.fleet
        backup.heads = HeadSource(key: key.key) { () throws(CofferError) in
            guard let fleetText else { return nil }
            guard let signIn else {
                throw CofferError(
                    .tokenRefused, "No sign-in was given.", advice: "Give --token-file or --token-command.")
            }
            return try FleetAccess(fleetText: fleetText, signIn: signIn)
        }
        return backup
    }

    /// How often the password may still be tried, or nil if too few vaults agree; never charged.
    public func attemptsLeft(signIn: SignIn) async throws(CofferError) -> Int? {
        guard let fleetText else { return nil }
        let status = await (try FleetAccess(fleetText: fleetText, signIn: signIn)).client.status()
        return status.registration == nil ? nil : status.attemptsLeft
    }

    /// Brings the key back from the vaults with the password, and opens the store with it.
    ///
    /// A wrong password costs an attempt; a reply that was lost does not. The fleet is used for recovery alone until the key has
    /// proven the header. Vaults that lack their share then get one, while the password is at hand.
    /// - Parameter askAgain: called when too few vaults answered; if it returns true they are asked again, with the same
    ///   attempt, so that no vault charges it twice.
    /// - Returns: also what the person should know besides, a sentence each.
    public func open(
        with password: Password, signIn: SignIn, askAgain: @Sendable (CofferError) async -> Bool = { _ in false }
    ) async throws(CofferError) -> (backup: OpenedBackup, notes: [String]) {
        let unlocked = try await unlock(with: password, signIn: signIn, askAgain: askAgain)
        return (unlocked.backup, unlocked.notes)
    }

    func unlock(
        with password: Password, signIn: SignIn, askAgain: @Sendable (CofferError) async -> Bool = { _ in false }
    ) async throws(CofferError) -> UnlockedStore {
        guard let fleetText else {
            throw CofferError(
                .notRegistered, "No vaults hold the key of the backup in \(place).", advice: "Use the 64-digit key.")
        }
        let access = try FleetAccess(fleetText: fleetText, signIn: signIn)
        let normalised = try password.normalised()
        let recovery = try await recover(normalised, access, askAgain: askAgain)
        guard let key = try? BackupKey(secret: recovery.backupKey) else {
            throw CofferError(.vaultMisbehaves, "What the vaults hold is not a key.", advice: "Use the 64-digit key.")
        }
        let repository: Repository
        do {
            repository = try await Repository.open(store, key: key)
        } catch {
            // The password was right, so a key that opens nothing means that the header names another store.
            throw CofferError(error == .wrongKey ? .headerAltered : error, place: place)
        }
        let notes = notes(on: recovery) + (await mend(recovery, key, normalised, access))
        var backup = OpenedBackup(repository, key: key)
        backup.heads = HeadSource(key: key) { access }
        return UnlockedStore(backup: backup, key: key, notes: notes)
    }

    private func recover(
        _ password: SecretBytes, _ access: FleetAccess, askAgain: @Sendable (CofferError) async -> Bool
    ) async throws(CofferError) -> Recovery {
        var entry: PasswordEntry?
        while true {
            do {
                return try await access.client.recover(password: password, entry: &entry)
            } catch {
                let words = CofferError(error)
                guard case .tooFewVaults = error, entry != nil, await askAgain(words) else { throw words }
            }
        }
    }

    private func notes(on recovery: Recovery) -> [String] {
        var notes: [String] = []
        if !recovery.problems.isEmpty {
            notes.append("\(recovery.problems.map(\.words).joined(separator: "; ")). The others were enough.")
        }
        if recovery.strangersAttempts > 0 {
            notes.append(
                "Somebody else made \(recovery.strangersAttempts) failed attempts at your password. "
                    + "If it was not you, choose a new password.")
        }
        return notes
    }

    /// Vaults that lost their share get one of a new registration, while the password is at hand.
    private func mend(
        _ recovery: Recovery, _ key: BackupKey, _ password: SecretBytes, _ access: FleetAccess
    ) async -> [String] {
        guard !recovery.lackingShare.isEmpty,
            let enrolment = try? await access.client.register(backupKey: key.secret, password: password)
        else { return [] }
        guard !enrolment.missing.isEmpty else { return ["Vaults that had lost their share of the key have a new one."] }
        return ["Still without a share of the key: \(enrolment.missing.map(\.words).joined(separator: "; "))."]
    }
}

/// A store that was opened, and the key that did it.
struct UnlockedStore: Sendable {
    let backup: OpenedBackup
    let key: BackupKey
    let notes: [String]
}
