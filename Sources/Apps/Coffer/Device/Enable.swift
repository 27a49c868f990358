import BackupEngine
import BackupFormat
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
        let workingFolder = FileManager.default.currentDirectoryPath
        let source = StoreLocation.absolute(source, in: workingFolder)
        let location = StoreLocation.absolute(location, in: workingFolder)
        try requireFolder(source)
        let store = try StoreLocation.open(location)
        try requireOutside(source, store.place)
        var (settings, key) = try begin(source: source, store: location)
        let notes: [String]
        do {
            notes = try await protect(key, by: protection, in: store, &settings)
        } catch {
            // Until vaults may hold shares, nothing refers to the key, and nothing is lost with it.
            if !settings.mayBeRegistered { forget(settings) }
            throw error
        }
        settings.phase = .enabled
        try folder.save(settings)
        return notes
    }

    private func protect(
        _ key: SixtyFourDigitKey, by protection: NewProtection, in store: any ObjectStore,
        _ settings: inout DeviceSettings
    ) async throws(CofferError) -> [String] {
        switch protection {
        case .sixtyFourDigitKey(let confirmSaved):
            guard try await confirmSaved(key) else {
                throw CofferError(
                    .notConfirmed, "Backup was not enabled: the 64-digit key was not confirmed as saved.",
                    advice: "Run the command again; a new key will be shown.")
            }
            settings.protections = [.sixtyFourDigitKey]
            try await createStore(store, settings, key, fleet: nil)
            return []
        case .password(let password, let fleetFile, let signIn):
            let access = try FleetAccess(fleetText: try FleetAccess.read(path: fleetFile), signIn: signIn)
            let normalised = try password.normalised()
            settings.protections = [.password]
            settings.signIn = signIn
            try await createStore(store, settings, key, fleet: access.text)
            settings.mayBeRegistered = true
            try folder.save(settings)
            return try await register(key, normalised, access)
        }
    }

    func forget(_ settings: DeviceSettings) {
        settings.keyStorage.delete(from: folder)
        folder.delete(UndeliveredFile.name)
        folder.delete(DeviceSettings.fileName)
    }

    private func requireFolder(_ source: String) throws(CofferError) {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: source, isDirectory: &isFolder), isFolder.boolValue else {
            throw CofferError(.noSource, "\(source) is not there or is not a folder.", advice: "Check its name.")
        }
    }

    /// A store inside the folder would be backed up into itself, and grow with every backup.
    private func requireOutside(_ source: String, _ place: String) throws(CofferError) {
        let resolved = [source, place].map { URL(fileURLWithPath: $0).resolvingSymlinksInPath().pathComponents }
        guard !resolved[1].starts(with: resolved[0]) else {
            throw CofferError(
                .storeInsideSource, "\(place) lies inside \(source), the folder to back up.",
                advice: "Name a store outside of it.")
        }
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
                throw CofferError(
                    .alreadyEnabled, "Backup of \(known.source) to \(known.store) is enabled on this device already.",
                    advice:
                        "`coffer status` shows it, `coffer disable` turns it off. Another backup needs another --state."
                )
            }
            return (known, try key(known))
        }
        var generator = SystemRandomNumberGenerator()
        let key = BackupKey.random(using: &generator)
        let settings = DeviceSettings(
            phase: .enabling, source: source, store: store, storeID: Hex.encode(generator.bytes(StoreID.byteCount)),
            keyStorage: try KeyStorage.save(key, in: folder), protections: [])
        try folder.save(settings)
        return (settings, SixtyFourDigitKey(key))
    }

    private func createStore(
        _ store: any ObjectStore, _ settings: DeviceSettings, _ key: SixtyFourDigitKey, fleet: String?
    ) async throws(CofferError) {
        guard try await !isThere(store, id: settings.storeID) else { return }
        var generator = SystemRandomNumberGenerator()
        do {
            _ = try await Repository.create(
                in: store, id: try StoreID(hex: settings.storeID), key: key.key, fleet: fleet,
                now: secondsSince1970(), using: &generator)
        } catch let error as OpenError {
            throw CofferError(error, place: store.place)
        } catch {
            throw CofferError(
                .damagedState, "The settings hold no valid store id.", advice: "Delete them and enable again.")
        }
    }

    /// Whether the store was made already by a run that was cut; somebody else's is refused.
    private func isThere(_ store: any ObjectStore, id: String) async throws(CofferError) -> Bool {
        let header: StoreHeader
        do {
            header = try await Repository.claimedHeader(in: store)
        } catch .noStoreHere {
            return false
        } catch {
            throw CofferError(error, place: store.place)
        }
        guard header.store.hex == id else {
            throw CofferError(
                .storeTaken, "There is a backup in \(store.place) already. It was left as it is.",
                advice: "Name another folder for a new backup, or bring that one back with "
                    + "`coffer restore --from \(store.place) FOLDER`.")
        }
        return true
    }
}
