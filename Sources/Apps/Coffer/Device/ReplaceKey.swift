import BackupEngine
import BackupFormat
import Foundation
import Primitives

extension Device {
    /// What replacing the key asks for.
    public struct NewKeyNeeds: Sendable, Equatable {
        /// A password and a sign-in: vaults hold the key.
        public let password: Bool
        /// That the person saves the 64 digits of the new key.
        public let digits: Bool
        /// It was begun, and goes on with the same new key.
        public let isBegun: Bool
    }

    public func newKeyNeeds() throws(CofferError) -> NewKeyNeeds {
        let settings = try enabledSettings()
        let isRegistered = settings.newKey?.stage == .registered
        return NewKeyNeeds(
            password: try folder.read(FleetAccess.fileName) != nil && !isRegistered,
            digits: settings.newKey == nil && settings.protections.contains(.sixtyFourDigitKey),
            isBegun: settings.newKey != nil)
    }

    /// Puts a new random key in the place of this device's. Nothing is uploaded again; what was written before stays readable
    /// with the new key, and to whoever copied the store and the old key. What is written from then on needs the new one.
    ///
    /// At every moment the old key or the new one opens the store, and this device has both until the old one is
    /// done with. If it is cut short it may be called again.
    /// - Parameter confirmSaved: shows the new key; nothing is changed unless it returns true.
    /// - Returns: what the person should know besides, a sentence each.
    public func replaceKey(
        password: Password?, signIn: SignIn?,
        confirmSaved: (@Sendable (SixtyFourDigitKey) async throws(CofferError) -> Bool)?
    ) async throws(CofferError) -> [String] {
        var settings = try enabledSettings()
        if settings.newKey == nil {
            try requireNoChange(settings)
            let backup = try await open(settings)
            try requireOwnFleet(backup)
            let needs = try newKeyNeeds()
            guard !needs.password || password != nil else {
                throw CofferError(
                    .badPassword, "Vaults hold the key of this backup, so a new one needs a password.",
                    advice: "Give the present password, or a new one.")
            }
            var generator = SystemRandomNumberGenerator()
            let new = BackupKey.random(using: &generator)
            if needs.digits {
                guard let confirmSaved, try await confirmSaved(SixtyFourDigitKey(new)) else {
                    throw CofferError(
                        .notConfirmed, "The key was not replaced: the new one was not confirmed as saved.",
                        advice: "Run the command again; another new key will be shown.")
                }
            }
            let storage = try KeyStorage.save(new, storeID: settings.storeID, in: folder, slot: .next)
            settings.newKey = DeviceSettings.NewKey(stage: .begun, keyStorage: storage)
            try folder.save(settings)
        }
        return try await goOn(&settings, password, signIn)
    }

    /// What can be done of a replacement that was cut, without the person. While the password is wanted both keys open the
    /// store, and this device uses the old one: it is what the password brings back.
    func continueNewKey(_ settings: DeviceSettings) async throws(CofferError) -> DeviceSettings {
        guard let newKey = settings.newKey else { return settings }
        let hasFleet = try folder.read(FleetAccess.fileName) != nil
        guard newKey.stage == .registered || !hasFleet else { return settings }
        var settings = settings
        _ = try await goOn(&settings, nil, nil)
        return settings
    }

    private func goOn(
        _ settings: inout DeviceSettings, _ password: Password?, _ signIn: SignIn?
    ) async throws(CofferError) -> [String] {
        let (old, new) = (try key(settings, .present), try key(settings, .next))
        let place = settings.store
        let replacement = KeyReplacement(of: old.key, by: new.key, in: try StoreLocation.open(place))
        var notes: [String] = []
        var generator = SystemRandomNumberGenerator()
        if settings.newKey?.stage == .begun {
            do throws(KeyReplacementError) {
                try await replacement.admit(now: secondsSince1970(), using: &generator)
            } catch { throw CofferError(error, place: place) }
            notes = try await registerNewKey(&settings, old, new, password, signIn)
            settings.newKey?.stage = .registered
            try folder.save(settings)
        }
        do { try await replacement.dismiss() } catch { throw CofferError(error, place: place) }
        settings.keyStorage = try KeyStorage.save(new.key, storeID: settings.storeID, in: folder)
        let slot = settings.newKey
        settings.newKey = nil
        try folder.save(settings)
        slot?.keyStorage.delete(storeID: settings.storeID, from: folder, slot: .next)
        if let opened = try? await OpenedBackup(store: try StoreLocation.open(place), key: new.key) {
            _ = await renewHead(in: opened.repository, settings, key: new.key, earlier: old.key)
        }
        return notes
    }

    /// Where vaults hold the old key, they get the new one, by the old one's word.
    private func registerNewKey(
        _ settings: inout DeviceSettings, _ old: SixtyFourDigitKey, _ new: SixtyFourDigitKey, _ password: Password?,
        _ signIn: SignIn?
    ) async throws(CofferError) -> [String] {
        guard let text = try folder.read(FleetAccess.fileName) else { return [] }
        guard let password, let signIn = signIn ?? settings.signIn else {
            throw CofferError(
                .changePending,
                "The key is being replaced, and the vaults still have the old one; both open the backup.",
                advice: "Run `coffer key rotate` again, with your password and sign-in: it goes on.")
        }
        let access = try FleetAccess(fleetText: String(decoding: text, as: UTF8.self), signIn: signIn)
        // Before the vaults: until the last of them has the new one, the old one's word is wanted there.
        let earlier = try KeyStorage.save(old.key, storeID: settings.storeID, in: folder, slot: .earlier)
        settings.earlierKeyStorage = earlier
        settings.signIn = signIn
        try folder.save(settings)
        let notes = try await register(new, earlier: [old], try password.normalised(), access)
        if try folder.read(UndeliveredFile.name) == nil {
            earlier.delete(storeID: settings.storeID, from: folder, slot: .earlier)
            settings.earlierKeyStorage = nil
        }
        return notes
    }

    // MARK: Keys that were

    func earlierKeys(_ settings: DeviceSettings) -> [SixtyFourDigitKey] {
        guard settings.earlierKeyStorage != nil, let key = try? key(settings, .earlier) else { return [] }
        return [key]
    }

    /// Once all vaults have the registration of the present one.
    func forgetEarlierKey() throws(CofferError) {
        var settings = try enabledSettings()
        guard let storage = settings.earlierKeyStorage, settings.newKey == nil, settings.leavingSignIn == nil,
            try folder.read(UndeliveredFile.name) == nil
        else { return }
        settings.earlierKeyStorage = nil
        try folder.save(settings)
        storage.delete(storeID: settings.storeID, from: folder, slot: .earlier)
    }

    /// Every key by whose word a registration may end.
    func allKeys(
        _ settings: DeviceSettings
    ) throws(CofferError) -> (present: SixtyFourDigitKey, others: [SixtyFourDigitKey]) {
        let present = try key(settings)
        var others = earlierKeys(settings)
        if let newKey = settings.newKey {
            others.append(try key(settings, newKey.stage == .registered ? .present : .next))
        }
        return (present, others)
    }

    /// One change at a time.
    func requireNoChange(_ settings: DeviceSettings) throws(CofferError) {
        if settings.newKey != nil {
            throw CofferError(
                .changePending, "The key of this backup is being replaced. Both keys open the backup.",
                advice: "Run `coffer key rotate` again first: it goes on.")
        }
        if let change = settings.fleetChange {
            throw CofferError(
                .changePending, "A change of this backup's vaults was cut short. The backup opens as before.",
                advice: change.signIn == nil
                    ? "Run `coffer password remove` again first."
                    : "Run the same `coffer password add` or `coffer password move` again first.")
        }
    }

    /// Another device may have changed the fleet; what this one knows of it would be wrong.
    func requireOwnFleet(_ backup: OpenedBackup) throws(CofferError) {
        let own = try folder.read(FleetAccess.fileName).map { String(decoding: $0, as: UTF8.self) }
        guard own == backup.repository.header.fleet else {
            throw CofferError(
                .changePending, "The vaults of this backup were changed from another device. Nothing was changed.",
                advice: "Do it from that device; or go on from this one anew: coffer disable --leave-shares, then "
                    + "coffer enable FOLDER --to STORE --join.")
        }
    }
}
