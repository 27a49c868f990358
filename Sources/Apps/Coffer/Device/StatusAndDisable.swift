import BackupEngine
import BackupFormat
import FleetFiles
import RecoveryProtocol

/// What this device backs up, and how it stands.
public struct DeviceStatus: Sendable, Codable {
    public struct Vaults: Sendable, Codable {
        public let fleet: FleetSummary
        /// How many vaults answered; nil if they were not asked.
        public let up: Int?
        /// Attempts that are left to guess the password, over the vaults that answered; nil if too few agree.
        public let attemptsLeft: Int?
        /// What is wrong, a sentence each.
        public let problems: [String]
        /// Whether some vaults still lack their share.
        public let sharesUndelivered: Bool
        /// As the vaults' histories tell, the oldest first.
        public let failedAttempts: [FailedAttemptsSummary]
        /// What else the owner must know, a sentence each.
        public let notices: [String]
        /// How many of them know of this device's last backup; nil before there is one.
        public let lastBackup: HeadAcknowledgement?
    }

    public let source: String
    public let store: String
    public let protections: [Protection]
    /// `secret-service` or `file`.
    public let keyStorage: String
    public let snapshotCount: Int
    /// Of this device's own source.
    public let newest: SnapshotSummary?
    /// What was imported last beside it; nil if nothing was, or if imports are all that is backed up.
    public let newestImport: SnapshotSummary?
    /// What is not saved, categories and patterns.
    public let leftOut: [String]
    /// nil where no vaults hold the key.
    public let vaults: Vaults?

    /// Whether no folder of this device is backed up.
    public var isImportedAlone: Bool { SourceLocation(source) == .imports }
}

/// Which folder goes where.
public struct EnabledBackup: Sendable, Equatable {
    public let source: String
    public let store: String
    public let protections: [Protection]
    /// What is not saved, categories and patterns.
    public let leftOut: [String]
}

extension Device {
    /// What is enabled, from this device's settings alone.
    public func enabledBackup() throws(CofferError) -> EnabledBackup {
        let settings = try settings(in: [.enabled, .enabling])
        return EnabledBackup(
            source: settings.source, store: settings.store, protections: settings.protections,
            leftOut: (settings.leftOut ?? .nothing).items)
    }

    /// Also looks into the store and asks the vaults, which is never charged. With the key it asks for the history, which
    /// calls off what somebody asked for without it.
    public func status() async throws(CofferError) -> DeviceStatus {
        let (snapshots, _) = try await open().snapshots()
        let settings = try enabledSettings()
        func newest(of source: String) -> SnapshotSummary? { snapshots.last { $0.source == source } }
        let imports = SourceLocation.imports.text
        return DeviceStatus(
            source: settings.source, store: settings.store, protections: settings.protections,
            keyStorage: settings.keyStorage.rawValue, snapshotCount: snapshots.count,
            newest: newest(of: settings.source),
            newestImport: settings.source == imports ? nil : newest(of: imports),
            leftOut: (settings.leftOut ?? .nothing).items,
            vaults: try await vaults(settings))
    }

    private func vaults(_ settings: DeviceSettings) async throws(CofferError) -> DeviceStatus.Vaults? {
        guard let text = try folder.read(FleetAccess.fileName) else { return nil }
        let fleet = FleetSummary(try FleetAccess.fleet(of: String(decoding: text, as: UTF8.self)))
        let undelivered = try folder.read(UndeliveredFile.name) != nil
        let access: FleetAccess?
        do {
            access = try fleetAccess(settings)
        } catch {
            // Without a sign-in the vaults say nothing, but what is backed up does not depend on it.
            return DeviceStatus.Vaults(
                fleet: fleet, up: nil, attemptsLeft: nil, problems: ["\(error.message) \(error.advice)"],
                sharesUndelivered: undelivered, failedAttempts: [], notices: [], lastBackup: acknowledgement())
        }
        guard let access else { return nil }
        let history = await access.client.history(backupKey: try key(settings).key.secret)
        let status = history.status
        let impairments = status.impairments.filter { report in
            !history.problems.contains { $0.vault == report.vault }
        }
        return DeviceStatus.Vaults(
            fleet: fleet, up: status.answered.count + status.problems.count { $0.isAnswer },
            attemptsLeft: status.registration == nil ? nil : status.attemptsLeft,
            problems: (history.problems + impairments).map { "\($0.words)." }, sharesUndelivered: undelivered,
            failedAttempts: history.failed.map(FailedAttemptsSummary.init), notices: history.notices,
            lastBackup: acknowledgement())
    }

    /// Turns backup off: erases the key's shares at the vaults, forgets key and settings, and on request deletes the store's objects.
    ///
    /// As long as enough vaults to recover may still hold shares nothing is forgotten, since only this key can erase them.
    /// - Parameters:
    ///   - signIn: a newer sign-in than the one that backup was enabled with.
    ///   - leavingShares: forget everything even if vaults keep shares that then nobody can erase.
    /// - Returns: what could not be deleted, a sentence each.
    public func disable(
        deleteStore: Bool, signIn: SignIn? = nil, leavingShares: Bool = false
    ) async throws(CofferError) -> [String] {
        let lock = try folder.lock()
        defer { lock.release() }
        let settings = try settings(in: [.enabled, .enabling])
        let notes = try await eraseShares(settings, signIn: signIn, leavingShares: leavingShares)
        if deleteStore { try await delete(try await open(settings).repository.store) }
        forget(settings)
        folder.deleteCopies()
        folder.delete(DeviceFolder.lockName)
        let isKept = deleteStore && settings.capabilities?.keepsDeleted == true
        return notes + (isKept ? [StoreLocation.keepsDeletedNote] : [])
    }

    private func eraseShares(
        _ settings: DeviceSettings, signIn: SignIn?, leavingShares: Bool
    ) async throws(CofferError) -> [String] {
        guard settings.mayBeRegistered else { return [] }
        do throws(CofferError) {
            if signIn == nil, settings.signIn == nil, try folder.read(FleetAccess.fileName) != nil {
                throw CofferError(
                    .tokenRefused, "Vaults have shares of the key, and this device has no sign-in there to erase them.",
                    advice:
                        "Nothing was deleted. Give your sign-in with --token-file; or say --leave-shares, if another "
                        + "device goes on with this backup or the vaults can never be reached again.")
            }
            var notes: [String] = []
            if let access = try fleetAccess(settings, signIn: signIn) { notes += try await erase(settings, access) }
            for (file, signIn) in [
                (OtherFleet.next, signIn ?? settings.fleetChange?.signIn), (OtherFleet.leaving, settings.leavingSignIn),
            ] {
                guard let text = try folder.read(file), let signIn else { continue }
                notes += try await erase(
                    settings, try FleetAccess(fleetText: String(decoding: text, as: UTF8.self), signIn: signIn))
            }
            return notes
        } catch {
            guard leavingShares else { throw error }
            return [
                "The vaults keep the shares of the key: whoever knows the password and signs in as you still gets it."
            ]
        }
    }

    /// Erases the shares at one fleet.
    func erase(
        _ settings: DeviceSettings, _ access: FleetAccess, sparing spared: [VaultID] = []
    ) async throws(CofferError) -> [String] {
        let (present, earlier) = try allKeys(settings)
        let removal = await access.client.remove(
            backupKey: present.key.secret, earlierKeys: earlier.map(\.key.secret), sparing: spared)
        let problems = removal.problems.map { "\($0.words)." }.joined(separator: " ")
        if let fault = removal.signInFault { throw CofferError(fault) }
        guard removal.problems.count < access.file.fleet.threshold else {
            throw CofferError(
                .tooFewVaults, "The shares of the key could not be erased at enough vaults. \(problems)",
                advice: "Nothing was deleted on this device. Run the command again when the vaults can be reached, "
                    + "with --token-file if your sign-in has expired, or with --leave-shares.")
        }
        return removal.problems.isEmpty ? [] : ["Not erased, and useless alone: \(problems)"]
    }

    /// The snapshots go first and the header last, so that a deletion that is cut leaves a store that still opens.
    private func delete(_ store: any ObjectStore) async throws(CofferError) {
        do throws(ObjectStoreError) {
            for folder in [ObjectName.Folder.snapshots, .index, .packs, .removals, .keyring] {
                for name in try await store.list(folder) { try await store.delete(name) }
            }
            _ = try await store.abandoned(before: .max, removing: true)
            try await store.delete(.header)
        } catch {
            throw CofferError(error, place: store.place)
        }
    }
}
