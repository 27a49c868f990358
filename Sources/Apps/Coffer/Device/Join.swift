import BackupEngine
import BackupFormat
import ByteCoding

extension Device {
    /// How a person unlocks a backup that there is already.
    public enum Unlock: Sendable {
        case sixtyFourDigitKey(SixtyFourDigitKey)
        case password(Password, signIn: SignIn)
    }

    /// Goes on with a backup that another device made: after a restore, or beside it. Its snapshots stay; nothing is uploaded
    /// twice.
    /// - Returns: what the person should know besides, a sentence each.
    public func join(
        source: String, store location: String, unlock: Unlock
    ) async throws(CofferError) -> [String] {
        let (source, location, _) = try places(source, location)
        let lock = try folder.lock(creating: true)
        defer { lock.release() }
        if let known = try folder.settings() {
            throw CofferError(alreadyEnabled: known)
        }
        try requireNoKeyWithoutSettings()
        let claimed = try await ClaimedStore.at(location, stateFolder: folder.path)
        let opened: UnlockedStore
        var signIn: SignIn?
        switch unlock {
        case .sixtyFourDigitKey(let key):
            opened = UnlockedStore(backup: try await claimed.open(with: key), key: key.key, notes: [])
        case .password(let password, let newSignIn):
            opened = try await claimed.unlock(with: password, signIn: newSignIn)
            signIn = newSignIn
        }
        let header = opened.backup.repository.header
        // The key has authenticated the header, so its fleet may be used for everything from here on.
        if let fleet = header.fleet { try folder.write(FleetAccess.fileName, Array(fleet.utf8)) }
        let storage = try KeyStorage.save(opened.key, storeID: header.store.hex, in: folder)
        try folder.save(
            DeviceSettings(
                phase: .enabled, source: source, store: location, storeID: header.store.hex, keyStorage: storage,
                protections: signIn == nil ? [.sixtyFourDigitKey] : [.password], signIn: signIn,
                mayBeRegistered: header.fleet != nil, leftOut: SourceLocation(source).leftOutAtFirst.orNil,
                capabilities: try? await opened.backup.repository.store.probed()))
        return opened.notes
    }
}
