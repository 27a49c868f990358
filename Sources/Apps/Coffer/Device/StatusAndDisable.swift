import BackupEngine
import BackupFormat
import FleetFiles
import RecoveryProtocol

/// What this device backs up, and how it stands.
public struct DeviceStatus: Sendable, Codable {
    public struct Vaults: Sendable, Codable {
        public let fleet: FleetSummary
        /// How many vaults answered.
        public let up: Int
        /// Attempts that are left to guess the password, over the vaults that answered; nil if too few agree.
        public let attemptsLeft: Int?
        /// What is wrong, a sentence each.
        public let problems: [String]
        /// Whether some vaults still lack their share.
        public let sharesUndelivered: Bool
    }

    public let source: String
    public let store: String
    public let protections: [Protection]
    /// `secret-service` or `file`.
    public let keyStorage: String
    public let snapshotCount: Int
    public let newest: SnapshotSummary?
    /// nil where no vaults hold the key.
    public let vaults: Vaults?
}

/// Which folder goes where.
public struct EnabledBackup: Sendable, Equatable {
    public let source: String
    public let store: String
    public let protections: [Protection]
}

extension Device {
    /// What is enabled, from this device's settings alone.
    public func enabledBackup() throws(CofferError) -> EnabledBackup {
        let settings = try enabledSettings()
        return EnabledBackup(source: settings.source, store: settings.store, protections: settings.protections)
    }

    /// Also looks into the store and asks the vaults, which is never charged.
    public func status() async throws(CofferError) -> DeviceStatus {
        let settings = try enabledSettings()
        let backup = try await open()
        let (snapshots, _) = try await backup.snapshots()
        return DeviceStatus(
            source: settings.source, store: settings.store, protections: settings.protections,
            keyStorage: settings.keyStorage.rawValue, snapshotCount: snapshots.count, newest: snapshots.last,
            vaults: try await vaults(settings, backup))
    }

    private func vaults(
        _ settings: DeviceSettings, _ backup: OpenedBackup
    ) async throws(CofferError) -> DeviceStatus.Vaults? {
        guard let signIn = settings.signIn, let fleet = backup.repository.header.fleet else { return nil }
        let access = try FleetAccess(fleetText: fleet, signIn: signIn)
        let status = await access.client.status()
        let undelivered = try folder.read(UndeliveredFile.name) != nil
        return DeviceStatus.Vaults(
            fleet: FleetSummary(access.file.fleet), up: status.answered.count,
            attemptsLeft: status.registration == nil ? nil : status.attemptsLeft,
            problems: status.problems.map { "\($0.words)." }, sharesUndelivered: undelivered)
    }

    /// Turns backup off: erases the key's shares at the vaults, forgets key and settings, and on request deletes the store's objects.
    ///
    /// As long as enough vaults to recover may still hold shares nothing is forgotten, since only this key can erase them.
    /// - Returns: what could not be deleted, a sentence each.
    public func disable(deleteStore: Bool) async throws(CofferError) -> [String] {
        let settings = try enabledSettings()
        let backup = try await open()
        let notes = try await eraseShares(settings, backup)
        if deleteStore { try await delete(backup.repository.store) }
        forget(settings)
        return notes
    }

    private func eraseShares(
        _ settings: DeviceSettings, _ backup: OpenedBackup
    ) async throws(CofferError) -> [String] {
        guard let signIn = settings.signIn, let fleet = backup.repository.header.fleet else { return [] }
        let access = try FleetAccess(fleetText: fleet, signIn: signIn)
        let removal = await access.client.remove(backupKey: try key(settings).key.secret)
        let problems = removal.problems.map { "\($0.words)." }
        guard removal.problems.count < access.file.fleet.threshold else {
            throw CofferError(
                .tooFewVaults,
                "The shares of the key could not be erased at enough vaults. \(problems.joined(separator: " "))",
                advice: "Nothing was deleted on this device. Run the command again when the vaults can be reached.")
        }
        return removal.problems.isEmpty
            ? [] : ["Not erased, and useless alone: \(problems.joined(separator: " "))"]
    }

    /// The snapshots go first and the header last, so that a deletion that is cut leaves a store that still opens.
    private func delete(_ store: any ObjectStore) async throws(CofferError) {
        do throws(ObjectStoreError) {
            for folder in [ObjectName.Folder.snapshots, .index, .packs, .keyring] {
                for name in try await store.list(folder) { try await store.delete(name) }
            }
            try await store.delete(.header)
        } catch {
            throw CofferError(error, place: store.place)
        }
    }
}
