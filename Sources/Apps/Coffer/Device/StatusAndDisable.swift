import BackupEngine
import BackupFormat

/// What this device backs up, and how it stands.
public struct DeviceStatus: Sendable, Codable {
    public let source: String
    public let store: String
    public let protections: [Protection]
    /// `secret-service` or `file`.
    public let keyStorage: String
    public let snapshotCount: Int
    public let newest: SnapshotSummary?
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

    /// Also looks into the store.
    public func status() async throws(CofferError) -> DeviceStatus {
        let settings = try enabledSettings()
        let (snapshots, _) = try await open().snapshots()
        return DeviceStatus(
            source: settings.source, store: settings.store, protections: settings.protections,
            keyStorage: settings.keyStorage.rawValue, snapshotCount: snapshots.count, newest: snapshots.last)
    }

    /// Turns backup off: forgets key and settings, and on request deletes the store's objects.
    ///
    /// The snapshots go first and the header last, so that a deletion that is cut leaves a store that still opens.
    public func disable(deleteStore: Bool) async throws(CofferError) {
        let settings = try enabledSettings()
        if deleteStore {
            let store = try await open().repository.store
            do throws(ObjectStoreError) {
                for folder in [ObjectName.Folder.snapshots, .index, .packs, .keyring] {
                    for name in try await store.list(folder) { try await store.delete(name) }
                }
                try await store.delete(.header)
            } catch {
                throw CofferError(error, place: store.place)
            }
        }
        settings.keyStorage.delete(from: folder)
        folder.delete(DeviceSettings.fileName)
    }
}
