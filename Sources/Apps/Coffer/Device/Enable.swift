import BackupEngine
import BackupFormat
import BackupSources
import ByteCoding
import Foundation
import Primitives

extension Device {
    /// Turns backup on: a new random key, a new store, a way to unlock it. Nothing is uploaded yet.
    ///
    /// If it is cut short it may be run again with the same folder and store, and goes on with the same key.
    /// - Returns: what the person should know besides, a sentence each.
    @discardableResult
    public func enable(
        source: String, store location: String, protection: NewProtection
    ) async throws(CofferError) -> [String] {
        let (source, location, store) = try places(source, location)
        let lock = try folder.lock(creating: true)
        defer { lock.release() }
        // Before a key is made and shown: a store or a key that is there already is never replaced.
        let isNew = try folder.settings() == nil
        if isNew {
            try requireNoKeyWithoutSettings()
            try await requireNoStore(store)
        }
        var (settings, key) = try begin(source: source, store: location)
        // An earlier run may have begun it, and not have heard what became of it.
        var mayStoreBeThere = !isNew
        let notes: [String]
        do {
            notes = try await protect(key, by: protection, in: store, &settings, &mayStoreBeThere)
        } catch {
            // Until vaults may hold shares or the store its header, nothing refers to the key, and nothing is lost with it.
            if !settings.mayBeRegistered, !mayStoreBeThere || error.code == .storeTaken { forget(settings) }
            throw error
        }
        settings.phase = .enabled
        settings.capabilities = try? await store.probed()
        try folder.save(settings)
        return notes + GoogleDriveAccess.notes(for: location, in: folder)
            + (settings.capabilities?.keepsDeleted == true ? [StoreLocation.keepsDeletedNote] : [])
    }

    private func protect(
        _ key: SixtyFourDigitKey, by protection: NewProtection, in store: any ObjectStore,
        _ settings: inout DeviceSettings, _ mayStoreBeThere: inout Bool
    ) async throws(CofferError) -> [String] {
        switch protection {
        case .sixtyFourDigitKey(let confirmSaved):
            guard try await confirmSaved(key) else {
                throw CofferError(
                    .notConfirmed, "Backup was not enabled: the 64-digit key was not confirmed as saved.",
                    advice: "Run the command again; a key will be shown again.")
            }
            settings.protections = [.sixtyFourDigitKey]
            try await createStore(store, settings, key, fleet: nil, &mayStoreBeThere)
            return []
        case .password(let password, let fleetFile, let signIn, let replacingLostKey):
            let access = try FleetAccess(fleetText: try FleetAccess.read(path: fleetFile), signIn: signIn)
            let normalised = try password.normalised()
            settings.protections = [.password]
            settings.signIn = signIn
            try await createStore(store, settings, key, fleet: access.text, &mayStoreBeThere)
            try folder.write(FleetAccess.fileName, Array(access.text.utf8))
            settings.mayBeRegistered = true
            try folder.save(settings)
            return try await register(key, normalised, access, replacingLostKey: replacingLostKey)
        }
    }

    func forget(_ settings: DeviceSettings) {
        removeDrillRemains()
        folder.delete(Device.scratchFileName)
        folder.delete(DeviceHead.fileName)
        folder.delete(SeenSnapshots.fileName)
        settings.keyStorage.delete(storeID: settings.storeID, from: folder)
        settings.newKey?.keyStorage.delete(storeID: settings.storeID, from: folder, slot: .next)
        settings.earlierKeyStorage?.delete(storeID: settings.storeID, from: folder, slot: .earlier)
        folder.delete(OtherFleet.next)
        folder.delete(OtherFleet.leaving)
        folder.delete(UndeliveredFile.name)
        folder.delete(StandingFile.name)
        folder.delete(FleetAccess.fileName)
        for file in [knownFiles, importKnownFiles] { KnownFilesFile(path: file).remove() }
        LedgerFile(path: ledger).remove()
        folder.delete(DeviceSettings.fileName)
    }

    // MARK: What must hold before

    /// The folder and the store from the root, if a backup from the one to the other makes sense.
    func places(
        _ source: String, _ location: String
    ) throws(CofferError) -> (source: String, location: String, store: any ObjectStore) {
        let workingFolder = FileManager.default.currentDirectoryPath
        // Before a name that says nothing becomes one that says something.
        if StoreLocation.isFolder(location) { _ = try StoreLocation.open(location, device: folder) }
        let absolute = try StoreLocation.absolute(location, in: workingFolder)
        let store = try StoreLocation.open(absolute, device: folder)
        let source = try SourceLocation(source).located(in: workingFolder)
        if let path = source.path, StoreLocation.isFolder(absolute) { try requireOutside(path, store.place) }
        return (source.text, absolute, store)
    }

    /// A store inside the folder would be backed up into itself, and grow with every backup.
    func requireOutside(_ source: String, _ place: String) throws(CofferError) {
        let resolved = [source, place].map { URL(fileURLWithPath: $0).resolvingSymlinksInPath().pathComponents }
        guard !resolved[1].starts(with: resolved[0]) else {
            throw CofferError(
                .storeInsideSource, "\(place) lies inside \(source), the folder to back up.",
                advice: "Name a store outside of it.")
        }
    }

    /// A key without settings belongs to some backup, perhaps as its only copy.
    func requireNoKeyWithoutSettings() throws(CofferError) {
        guard try folder.read(KeyStorage.fileName) == nil else {
            throw CofferError(
                .damagedState,
                "\(folder.path) holds a key, but no settings that say what it opens. It was left as it is.",
                advice: "Name another --state folder. The key opens its store: coffer restore --from STORE FOLDER "
                    + "--key-file \(folder.path)/\(KeyStorage.fileName)")
        }
    }

    private func requireNoStore(_ store: any ObjectStore) async throws(CofferError) {
        do {
            _ = try await Repository.claimedHeader(in: store)
        } catch .noStoreHere {
            return
        } catch {
            throw CofferError(error, place: store.place)
        }
        throw CofferError(storeTaken: store.place)
    }

    /// The key on the device and the settings, new or from a run that was cut.
    private func begin(
        source: String, store: String
    ) throws(CofferError) -> (DeviceSettings, SixtyFourDigitKey) {
        if let known = try folder.settings() {
            guard known.phase == .enabling, known.source == source, known.store == store else {
                if known.phase == .enabling, !known.mayBeRegistered {
                    forget(known)
                    return try begin(source: source, store: store)
                }
                throw CofferError(alreadyEnabled: known)
            }
            return (known, try key(known))
        }
        var generator = SystemRandomNumberGenerator()
        let key = BackupKey.random(using: &generator)
        let storeID = Hex.encode(generator.bytes(StoreID.byteCount))
        let settings = DeviceSettings(
            phase: .enabling, source: source, store: store, storeID: storeID,
            keyStorage: try KeyStorage.save(key, storeID: storeID, in: folder), protections: [],
            leftOut: SourceLocation(source).leftOutAtFirst.orNil)
        try folder.save(settings)
        return (settings, SixtyFourDigitKey(key))
    }

    /// Makes the store, or goes on with one that a run of this device made before it was cut.
    ///
    /// - Parameter mayBeThere: true from when its header may be written: an error then need not mean that it was not.
    private func createStore(
        _ store: any ObjectStore, _ settings: DeviceSettings, _ key: SixtyFourDigitKey, fleet: String?,
        _ mayBeThere: inout Bool
    ) async throws(CofferError) {
        guard let id = try? StoreID(hex: settings.storeID) else {
            throw CofferError(
                .damagedState, "The settings hold no valid store id.", advice: "Name another --state folder.")
        }
        do {
            if try await isThere(store, id: id) {
                // The run that was cut may have named another fleet.
                try await Repository.replaceHeader(in: store, StoreHeader(store: id, fleet: fleet), key: key.key)
            } else {
                mayBeThere = true
                var generator = SystemRandomNumberGenerator()
                _ = try await Repository.create(
                    in: store, id: id, key: key.key, fleet: fleet, now: secondsSince1970(), using: &generator)
            }
        } catch let error as CofferError {
            throw error
        } catch let error as OpenError {
            throw CofferError(error, place: store.place)
        } catch {
            throw CofferError(.internalError, "The store could not be made.", advice: "Please report this.")
        }
    }

    /// Whether this device made the store; somebody else's is refused.
    private func isThere(_ store: any ObjectStore, id: StoreID) async throws -> Bool {
        let header: StoreHeader
        do {
            header = try await Repository.claimedHeader(in: store)
        } catch OpenError.noStoreHere {
            return false
        }
        guard header.store == id else { throw CofferError(storeTaken: store.place) }
        return true
    }
}

extension CofferError {
    init(alreadyEnabled known: DeviceSettings) {
        self.init(
            .alreadyEnabled, "Backup of \(known.source) to \(known.store) is enabled on this device already.",
            advice: "`coffer status` shows it, `coffer disable` turns it off. Another backup needs another --state.")
    }

    init(storeTaken place: String) {
        self.init(
            .storeTaken, "There is a backup in \(place) already. It was left as it is.",
            advice: "To go on with it from this device, say --join. For a new backup, name another folder.")
    }
}
