import BackupEngine
import BackupFormat
import ByteCoding
import Foundation

/// This device's backup: which folder goes where, and the key to it.
///
/// ```swift
/// let device = Device()
/// try await device.enable(source: "/home/me/Chats", store: "/cloud/coffer", protection: .sixtyFourDigitKey { key in
///     show(key.revealGroups())
///     return try await personTypedSomeOfItBack(key)
/// })
/// let summary = try await device.backUp { progress in … }
/// ```
public struct Device: Sendable {
    let folder: DeviceFolder
    /// Instead of the limit that this device remembers.
    let limit: TransferLimit?
    var knownFiles: String { "\(folder.path)/known-files" }
    /// Of what is imported.
    var importKnownFiles: String { "\(folder.path)/import-known-files" }

    /// - Parameters:
    ///   - stateFolder: where this device keeps key and settings; nil for `~/.local/state/coffer`.
    ///   - limit: how fast the store is written to and read from; nil for what the device remembers.
    public init(stateFolder: String? = nil, limit: TransferLimit? = nil) {
        folder = DeviceFolder(path: stateFolder)
        self.limit = limit
    }

    public var stateFolder: String { folder.path }

    /// How a new backup is to be unlocked.
    public enum NewProtection: Sendable {
        /// The key is shown; the backup is enabled if the closure returns true, which means that it was saved.
        case sixtyFourDigitKey(confirmSaved: @Sendable (SixtyFourDigitKey) async throws(CofferError) -> Bool)
        /// The key is put behind the password in the fleet of this fleet file, for the account of the sign-in.
        /// `replacingLostKey` asks vaults that hold another key's registration of the account to replace it after
        /// their delay.
        case password(Password, fleetFile: String, signIn: SignIn, replacingLostKey: Bool = false)
    }

    /// Backs up the folder that was enabled, and has the vaults keep which backup is the newest.
    ///
    /// - Parameters:
    ///   - acceptingOlder: go on from what the store shows, even if it lacks the newest backup that the vaults or this device
    ///     know of.
    ///   - ignoringRoom: begin even if it surely does not fit into the store.
    public func backUp(
        acceptingOlder: Bool = false, ignoringRoom: Bool = false, progress: @escaping ProgressHandler
    ) async throws(CofferError) -> BackupSummary {
        try await backUp(acceptingOlder: acceptingOlder, ignoringRoom: ignoringRoom, progress: progress) {
            settings throws(CofferError) in
            BackupRun(
                source: try SourceLocation(settings.source).open(without: folder),
                leftOut: settings.leftOut ?? .nothing,
                copies: folder.copies, knownFiles: knownFiles)
        }
    }

    /// What one backup reads, and where this device remembers what it knows of it.
    struct BackupRun {
        let source: any BackupSource
        let leftOut: LeftOut
        let copies: String
        let knownFiles: String
    }

    /// - Parameter run: asked for when the store is open.
    func backUp(
        acceptingOlder: Bool, ignoringRoom: Bool, progress: @escaping ProgressHandler,
        _ run: (DeviceSettings) throws(CofferError) -> BackupRun
    ) async throws(CofferError) -> BackupSummary {
        let lock = try folder.lock()
        defer { lock.release() }
        removeDrillRemains()
        await deliverNewKey()
        var backup = try await open(try enabledSettings())
        let settings = try enabledSettings()
        let run = try run(settings)
        backup.leftOut = run.leftOut
        await deliverMissingShares(settings)
        try? forgetEarlierKey()
        _ = try? await leaveFleet()
        let check = try await backup.requireCurrent(unless: acceptingOlder, .backUp)
        let (report, messagesLeftOut) = try await backup.makeSnapshot(
            of: run.source, copies: run.copies, knownFiles: run.knownFiles,
            above: check.newest?.number ?? 0, ignoringRoom: ignoringRoom, progress: progress)
        backup.seenSnapshots?.note([report.snapshot])
        let told = await setHead(report.snapshot, in: backup.repository, settings, key: try key(settings).key)
        return BackupSummary(report, messagesLeftOut: messagesLeftOut, vaults: told, notes: check.notes)
    }

    /// Opens this device's store with the key that the device keeps.
    public func open() async throws(CofferError) -> OpenedBackup {
        let settings = try enabledSettings()
        // A change that was cut goes on, unless the command that makes it is still at work.
        guard settings.newKey != nil || settings.fleetChange != nil, let lock = try? folder.lock() else {
            return try await open(settings, continuing: false)
        }
        defer { lock.release() }
        return try await open(try enabledSettings())
    }

    /// - Parameter continuing: go on with a change that was cut, for which the lock is held.
    func open(_ settings: DeviceSettings, continuing: Bool = true) async throws(CofferError) -> OpenedBackup {
        let settings = continuing ? try await continueNewKey(settings) : settings
        let store = try StoreLocation.open(
            settings.store, limit: limit ?? settings.limit, device: folder, capabilities: settings.capabilities)
        let key = try key(settings).key
        var backup: OpenedBackup
        do {
            backup = try await OpenedBackup(store: store, key: key)
        } catch {
            guard error.code == .wrongKey, let claimed = try? await Repository.claimedHeader(in: store),
                claimed.store.hex == settings.storeID
            else { throw error }
            throw CofferError(keyReplacedIn: settings.store)
        }
        backup.temporaryFolder = folder.path
        if continuing { try await continueFleetChange(settings, backup) }
        backup.heads = headSource(settings, key)
        backup.seenSnapshots = SeenSnapshots(in: folder, of: backup.repository.header.store)
        backup.ownSource = settings.source
        backup.keepsDeleted = settings.capabilities?.keepsDeleted == true
        guard backup.repository.header.store.hex == settings.storeID else {
            throw CofferError(
                .wrongKey, "\(settings.store) holds another backup than the one that this device made.",
                advice: "Check the place; the backup may have been moved. Nothing was changed.")
        }
        return backup
    }

    /// The key that this device keeps, to be shown to the person who asks for it.
    public func sixtyFourDigitKey() throws(CofferError) -> SixtyFourDigitKey {
        try key(try enabledSettings())
    }

    func key(_ settings: DeviceSettings) throws(CofferError) -> SixtyFourDigitKey {
        let isNew = settings.newKey?.stage == .registered
        return try key(settings, isNew ? .next : .present)
    }

    func key(_ settings: DeviceSettings, _ slot: KeyStorage.Slot) throws(CofferError) -> SixtyFourDigitKey {
        let storage =
            switch slot {
            case .present: settings.keyStorage
            case .next: settings.newKey?.keyStorage
            case .earlier: settings.earlierKeyStorage
            }
        guard let key = try storage?.load(storeID: settings.storeID, from: folder, slot: slot) else {
            throw CofferError(
                .damagedState, "This device no longer has the key to its backup.",
                advice: "Restore with your password or your 64-digit key; the backups are not affected.")
        }
        return SixtyFourDigitKey(key)
    }

    func enabledSettings() throws(CofferError) -> DeviceSettings { try settings(in: [.enabled]) }

    func settings(in phases: [DeviceSettings.Phase]) throws(CofferError) -> DeviceSettings {
        let known = try folder.settings()
        if let known, phases.contains(known.phase) { return known }
        guard let known else {
            throw CofferError(
                .notEnabled, "Backup is not enabled on this device.",
                advice:
                    "Run `coffer enable FOLDER --to STORE`; to bring a backup back: `coffer restore --from STORE FOLDER`."
            )
        }
        throw CofferError(
            .notEnabled, "Enabling the backup of \(known.source) to \(known.store) was cut short.",
            advice: "Run the same `coffer enable` again, or `coffer disable`.")
    }
}
