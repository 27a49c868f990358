import BackupEngine
import BackupFormat
import FleetFiles
import Foundation
import Primitives
import RecoveryProtocol

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
        let isRegistering = settings.newKey.map { $0.stage == .begun } ?? true
        return NewKeyNeeds(
            password: try folder.read(FleetAccess.fileName) != nil && isRegistering,
            digits: settings.newKey == nil && settings.protections.contains(.sixtyFourDigitKey),
            isBegun: settings.newKey != nil)
    }

    /// Puts a new random key in the place of this device's. Nothing is uploaded again; what was written before stays readable
    /// with the new key, and to whoever copied the store and the old key. What is written from then on needs the new one.
    ///
    /// At every moment the old key or the new one opens the store, and this device has both until the old one is
    /// done with: when every vault has the new one. If it is cut short, or vaults are down, it may be called again; then
    /// `newKeyNeeds().isBegun` is still true.
    /// - Parameters:
    ///   - takingOver: another device began to replace the key, and is lost: its new key is to open nothing any more.
    ///   - confirmSaved: shows the new key; nothing is changed unless it returns true.
    /// - Returns: what the person should know besides, a sentence each.
    public func replaceKey(
        password: Password?, signIn: SignIn?, takingOver: Bool = false,
        confirmSaved: (@Sendable (SixtyFourDigitKey) async throws(CofferError) -> Bool)?
    ) async throws(CofferError) -> [String] {
        let lock = try folder.lock()
        defer { lock.release() }
        var settings = try enabledSettings()
        if settings.newKey == nil {
            try requireNoChange(settings)
            let backup = try await open(settings)
            try requireOwnFleet(backup)
            try await requireNothingLeft(&settings)
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
        // Later than that vaults may have this device's new key: then no other device is replacing it.
        if takingOver, settings.newKey?.stage == .begun { try await takeOver(settings, signIn) }
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

    /// Whoever is asked by the old key's word must not be left behind: after the next replacement nobody has that key.
    private func requireNothingLeft(_ settings: inout DeviceSettings) async throws(CofferError) {
        _ = try await leaveFleet(isNeeded: true)
        await deliverMissingShares(try enabledSettings())
        try forgetEarlierKey()
        settings = try enabledSettings()
        guard settings.leavingSignIn == nil, settings.earlierKeyStorage == nil else {
            throw CofferError(
                .changePending,
                "Vaults still have to hear from the key that this device has. Nothing was changed.",
                advice: "Run `coffer backup` while all vaults can be reached, then `coffer key rotate` again.")
        }
    }

    /// Only if every vault has this device's key: a password must not bring back the one that is ended here.
    private func takeOver(_ settings: DeviceSettings, _ signIn: SignIn?) async throws(CofferError) {
        let own = try key(settings, .present).key
        if let access = try fleetAccess(settings, signIn: signIn) {
            let heads = await access.client.heads(backupKey: own.secret)
            guard heads.answers.count == access.file.fleet.currentVaults.count else {
                throw CofferError(
                    .changePending,
                    "Not all vaults said that they have this device's key; some may have the other one. Nothing was changed.",
                    advice: "Run it again when all vaults can be reached. If some have the other key, go on with a new "
                        + "backup in another folder.")
            }
        } else if try folder.read(FleetAccess.fileName) != nil {
            throw CofferError(
                .changePending, "The vaults must be asked which key they have. Nothing was changed.",
                advice: "Run it again with your sign-in (--token-file).")
        }
        let fleet = try folder.read(FleetAccess.fileName).map { String(decoding: $0, as: UTF8.self) }
        let store = try StoreLocation.open(settings.store, device: folder)
        do { try await KeyReplacement.takeOver(with: own, in: store, fleet: fleet) } catch {
            throw CofferError(error, place: settings.store)
        }
    }

    private func goOn(
        _ settings: inout DeviceSettings, _ password: Password?, _ signIn: SignIn?
    ) async throws(CofferError) -> [String] {
        let (old, new) = (try key(settings, .present), try key(settings, .next))
        var notes: [String] = []
        switch settings.newKey?.stage {
        case .begun:
            let replacement = try replacement(settings)
            do throws(KeyReplacementError) {
                var generator = SystemRandomNumberGenerator()
                try await replacement.admit(now: secondsSince1970(), using: &generator)
            } catch { throw CofferError(error, place: settings.store) }
            notes = try await registerNewKey(&settings, old, new, password, signIn)
        case .delivering: try await deliverNewKey(&settings)
        case .registered, nil: break
        }
        guard settings.newKey?.stage == .registered else {
            return notes + [
                "The new key is not yet with all vaults, so the old one was not ended: both open the backup, and the "
                    + "password may bring back either. Run `coffer backup` or `coffer key rotate` when all vaults can be "
                    + "reached: it goes on."
            ]
        }
        return notes + (try await end(&settings, old, new))
    }

    private func replacement(_ settings: DeviceSettings) throws(CofferError) -> KeyReplacement {
        let fleet = try folder.read(FleetAccess.fileName).map { String(decoding: $0, as: UTF8.self) }
        return KeyReplacement(
            of: try key(settings, .present).key, by: try key(settings, .next).key,
            in: try StoreLocation.open(settings.store, device: folder), fleet: fleet)
    }

    /// Everybody who may need the new key has it: the old one ends. What only the old one opens is taken along before.
    private func end(
        _ settings: inout DeviceSettings, _ old: SixtyFourDigitKey, _ new: SixtyFourDigitKey
    ) async throws(CofferError) -> [String] {
        let replacement = try replacement(settings)
        do { try await replacement.requireAdmitted() } catch { throw CofferError(error, place: settings.store) }
        let opened = try await OpenedBackup(store: try StoreLocation.open(settings.store, device: folder), key: new.key)
        guard await takeHeadAlong(in: opened.repository, settings, key: new.key, earlier: old.key) else {
            return [
                "The old key was not ended: too few vaults could say which backup is the newest, and it would be forgotten. "
                    + "Both keys open the backup. Run `coffer key rotate` again when the vaults can be reached."
            ]
        }
        do { try await replacement.dismiss() } catch { throw CofferError(error, place: settings.store) }
        let (former, next) = (settings.keyStorage, settings.newKey)
        settings.keyStorage = try KeyStorage.save(new.key, storeID: settings.storeID, in: folder)
        settings.newKey = nil
        try folder.save(settings)
        // The keychain may have come or gone since: the old key must not stay in the other place.
        if former != settings.keyStorage { former.delete(storeID: settings.storeID, from: folder) }
        next?.keyStorage.delete(storeID: settings.storeID, from: folder, slot: .next)
        return []
    }

    /// Where vaults hold the old key, they get the new one, by the old one's word.
    private func registerNewKey(
        _ settings: inout DeviceSettings, _ old: SixtyFourDigitKey, _ new: SixtyFourDigitKey, _ password: Password?,
        _ signIn: SignIn?
    ) async throws(CofferError) -> [String] {
        guard let text = try folder.read(FleetAccess.fileName) else {
            try advance(&settings, to: .registered)
            return []
        }
        guard let password, let signIn = signIn ?? settings.signIn else {
            throw CofferError(
                .changePending,
                "The key is being replaced, and the vaults still have the old one; both open the backup.",
                advice: "Run `coffer key rotate` again, with your password and sign-in: it goes on.")
        }
        let access = try FleetAccess(fleetText: String(decoding: text, as: UTF8.self), signIn: signIn)
        // Before the vaults: until the last of them has the new one, the old one's word is wanted there.
        let earlier = try KeyStorage.save(old.key, storeID: settings.storeID, in: folder, slot: .earlier)
        if let former = settings.earlierKeyStorage, former != earlier {
            former.delete(storeID: settings.storeID, from: folder, slot: .earlier)
        }
        settings.earlierKeyStorage = earlier
        settings.signIn = signIn
        try folder.save(settings)
        let replacement = try replacement(settings)
        do { try await replacement.requireAdmitted() } catch { throw CofferError(error, place: settings.store) }
        let notes = try await register(new, earlier: [old], try password.normalised(), access)
        try advance(&settings, to: try folder.read(UndeliveredFile.name) == nil ? .registered : .delivering)
        return notes
    }

    /// Without the person, once t vaults have the new key. As long as one lacks it, or has the old registration, too, that
    /// one's password, or t vaults that were down, would bring back a key that opens nothing.
    private func deliverNewKey(_ settings: inout DeviceSettings) async throws(CofferError) {
        let (old, new) = (try key(settings, .present), try key(settings, .next))
        let replacement = try replacement(settings)
        do { try await replacement.requireAdmitted() } catch { throw CofferError(error, place: settings.store) }
        guard let text = try folder.read(FleetAccess.fileName), try folder.read(UndeliveredFile.name) != nil else {
            return try advance(&settings, to: .begun)
        }
        guard let enrolment = await deliver(new, earlier: [old], settings), enrolment.undelivered == nil else { return }
        let vaults = try FleetAccess.fleet(of: String(decoding: text, as: UTF8.self)).currentVaults
        // If it was dropped, since another registration took its place, it is made anew, with the password.
        let isEverywhere = enrolment.waitsUntil == nil && vaults.allSatisfy { enrolment.activated.contains($0) }
        try advance(&settings, to: isEverywhere ? .registered : .begun)
    }

    /// As far as it goes without the person; the next look at the store does the rest.
    func deliverNewKey() async {
        guard var settings = try? enabledSettings(), settings.newKey?.stage == .delivering else { return }
        try? await deliverNewKey(&settings)
    }

    private func advance(
        _ settings: inout DeviceSettings, to stage: DeviceSettings.NewKey.Stage
    ) throws(CofferError) {
        settings.newKey?.stage = stage
        let earlier = settings.earlierKeyStorage
        if stage == .registered { settings.earlierKeyStorage = nil }
        try folder.save(settings)
        if stage == .registered { earlier?.delete(storeID: settings.storeID, from: folder, slot: .earlier) }
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
            throw .fleetChangedElsewhere
        }
    }
}
