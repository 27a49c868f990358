import BackupEngine
import BackupFormat
import FleetFiles
import Primitives
import RecoveryProtocol

/// Fleet files beside the one in use, while a backup goes from one fleet to another.
enum OtherFleet {
    static let next = "next-fleet.toml"
    static let leaving = "leaving-fleet.toml"
}

extension Device {
    /// Puts the key behind another password in the same fleet. Nothing is uploaded again.
    /// - Returns: what the person should know besides, a sentence each.
    public func changePassword(_ password: Password, signIn: SignIn?) async throws(CofferError) -> [String] {
        let lock = try folder.lock()
        defer { lock.release() }
        var settings = try enabledSettings()
        try requireNoChange(settings)
        let backup = try await open(settings)
        try requireOwnFleet(backup)
        settings.signIn = signIn ?? settings.signIn
        guard let access = try fleetAccess(settings) else { throw CofferError(noPassword: settings) }
        let earlier = earlierKeys(settings)
        let notes = try await register(try key(settings), earlier: earlier, try password.normalised(), access)
        try folder.save(settings)
        if !settings.protections.contains(.password) {
            settings.protections.append(.password)
            try folder.save(settings)
        }
        return notes
    }

    /// Gives a backup that has none a password in a fleet, or takes it to another fleet: first the new vaults get the key,
    /// then the store names them, then the old ones erase theirs. The store opens at every moment; if it is cut short
    /// it may be called again.
    public func putPassword(
        _ password: Password, inFleetOf fleetFile: String, signIn: SignIn, moving: Bool
    ) async throws(CofferError) -> [String] {
        let lock = try folder.lock()
        defer { lock.release() }
        let text = try FleetAccess.read(path: fleetFile)
        let access = try FleetAccess(fleetText: text, signIn: signIn)
        let normalised = try password.normalised()
        var settings = try enabledSettings()
        let hasFleet = try folder.read(FleetAccess.fileName) != nil
        guard moving == hasFleet || settings.fleetChange != nil else {
            throw moving ? CofferError(noPassword: settings) : CofferError(hasPassword: settings)
        }
        let backup = try await begin(&settings)
        let isNewer = try isNewerVersion(access)
        try requireNamed(text, settings)
        let pending = try folder.read(OtherFleet.next)
        // The person changed their mind: nobody else would erase what the other fleet may have got.
        if let pending, pending != Array(text.utf8) { try await erasePending(settings) }
        try folder.write(OtherFleet.next, Array(text.utf8))
        settings.fleetChange = DeviceSettings.FleetChange(signIn: signIn, isVersion: isNewer)
        settings.mayBeRegistered = true
        try folder.save(settings)
        guard isNewer else {
            let notes = try await register(try key(settings), normalised, access)
            try await name(text, settings, backup)
            return notes + (try await leaveFleet())
        }
        // Who reads the older file refuses what is registered under the newer one; who reads the newer one knows both.
        try await name(text, settings, backup)
        let notes = try await register(try key(settings), normalised, access)
        settings = try enabledSettings()
        settings.fleetChange = nil
        try folder.save(settings)
        return notes + (try await leaveFleet())
    }

    /// Takes the password away: only the 64 digits open the backup then.
    /// - Parameters:
    ///   - signIn: a newer sign-in than the one that this device has, if it has one.
    ///   - confirmSaved: asks whether the person has the 64 digits.
    /// - Returns: what the person should know besides, a sentence each; and whether the vaults have erased their shares, but
    ///   for too few to be of use.
    public func removePassword(
        signIn: SignIn? = nil,
        confirmSaved: @Sendable (SixtyFourDigitKey) async throws(CofferError) -> Bool
    ) async throws(CofferError) -> (notes: [String], areSharesErased: Bool) {
        let lock = try folder.lock()
        defer { lock.release() }
        var settings = try enabledSettings()
        guard try folder.read(FleetAccess.fileName) != nil || settings.fleetChange != nil else {
            throw CofferError(noPassword: settings)
        }
        let backup = try await begin(&settings, signIn: signIn)
        try requireNamed(nil, settings)
        guard try await confirmSaved(try key(settings)) else {
            throw CofferError(
                .notConfirmed, "The password stays: the 64-digit key was not confirmed as saved.",
                advice: "Without the one or the other nobody could open the backup. Run the command again.")
        }
        try await erasePending(settings)
        folder.delete(OtherFleet.next)
        settings.fleetChange = DeviceSettings.FleetChange(signIn: nil, isVersion: false)
        try folder.save(settings)
        try await name(nil, settings, backup)
        let notes = try await leaveFleet()
        return (notes, try enabledSettings().leavingSignIn == nil)
    }

    // MARK: Steps

    /// - Parameter signIn: a newer sign-in at the fleet that is left.
    private func begin(
        _ settings: inout DeviceSettings, signIn: SignIn? = nil
    ) async throws(CofferError) -> OpenedBackup {
        guard settings.newKey == nil else {
            try requireNoChange(settings)
            return try await open(settings)
        }
        let backup = try await open(settings)
        settings = try enabledSettings()
        try await requireOneKey(backup)
        if settings.fleetChange == nil { try requireOwnFleet(backup) }
        if try folder.read(FleetAccess.fileName) != nil {
            // Else nobody could erase the shares there, now or ever.
            guard let present = signIn ?? settings.signIn else { throw CofferError(noSignIn: settings) }
            settings.signIn = present
            try folder.save(settings)
        }
        guard settings.leavingSignIn == nil else {
            // There is room for one fleet that is left.
            _ = try await leaveFleet(isNeeded: true)
            settings = try enabledSettings()
            return backup
        }
        return backup
    }

    /// The store names the fleet; then the device does.
    private func name(
        _ fleet: String?, _ settings: DeviceSettings, _ backup: OpenedBackup
    ) async throws(CofferError) {
        try await requireOneKey(backup)
        let header = StoreHeader(store: backup.repository.header.store, fleet: fleet)
        do {
            try await Repository.replaceHeader(in: backup.repository.store, header, key: try key(settings).key)
        } catch let error as CofferError {
            throw error
        } catch let error as OpenError {
            throw CofferError(error, place: settings.store)
        } catch {
            throw CofferError(.internalError, "The store could not be changed.", advice: "Please report this.")
        }
        try note(fleet, settings)
        // The tag of the header changed, and perhaps who keeps the head.
        let (now, key) = (try enabledSettings(), try key(settings).key)
        if let opened = try? await OpenedBackup(store: backup.repository.store, key: key) {
            _ = await renewHead(in: opened.repository, now, key: key)
        }
    }

    private func note(_ fleet: String?, _ known: DeviceSettings) throws(CofferError) {
        var settings = known
        let old = try folder.read(FleetAccess.fileName)
        if let old, old != fleet.map({ Array($0.utf8) }) {
            try folder.write(OtherFleet.leaving, old)
            settings.leavingSignIn = settings.signIn
            try folder.save(settings)
        }
        if let fleet {
            try folder.write(FleetAccess.fileName, Array(fleet.utf8))
        } else {
            folder.delete(FleetAccess.fileName)
            folder.delete(UndeliveredFile.name)
            folder.delete(StandingFile.name)
        }
        settings.signIn = settings.fleetChange?.signIn
        settings.protections = fleet == nil ? [.sixtyFourDigitKey] : settings.protections.filter { $0 != .password }
        if fleet != nil { settings.protections.append(.password) }
        // By what was begun: cut right here before, this device's file is the new one already.
        let isVersion = if let noted = settings.fleetChange?.isVersion { noted } else { try isVersion(of: old, fleet) }
        if isVersion {
            settings.fleetChange?.isNamed = true
        } else {
            settings.fleetChange = nil
        }
        try folder.save(settings)
        folder.delete(OtherFleet.next)
    }

    /// Of a change that a program began which did not note it.
    private func isVersion(of old: [UInt8]?, _ fleet: String?) throws(CofferError) -> Bool {
        guard let old, let fleet else { return false }
        return try Self.isSameFleet(old, fleet)
    }

    /// A change that was cut after the store had named the fleet, before this device had.
    func continueFleetChange(_ settings: DeviceSettings, _ backup: OpenedBackup) async throws(CofferError) {
        guard let change = settings.fleetChange, change.isNamed != true else { return }
        let next = try folder.read(OtherFleet.next).map { String(decoding: $0, as: UTF8.self) }
        guard (change.signIn == nil) == (next == nil), backup.repository.header.fleet == next else { return }
        try note(next, settings)
    }

    /// Erases the shares at the fleet that was left. Until that is done every backup tries it again.
    @discardableResult
    func leaveFleet(isNeeded: Bool = false) async throws(CofferError) -> [String] {
        var settings = try enabledSettings()
        // Until the newer version's vaults have the registration, the older one's are what the password needs.
        guard settings.fleetChange?.isNamed != true else { return [] }
        guard let signIn = settings.leavingSignIn, let file = try folder.read(OtherFleet.leaving) else { return [] }
        do throws(CofferError) {
            let access = try FleetAccess(fleetText: String(decoding: file, as: UTF8.self), signIn: signIn)
            let notes = try await erase(settings, access, sparing: try inUse(in: access))
            settings.leavingSignIn = nil
            if try folder.read(FleetAccess.fileName) == nil { settings.mayBeRegistered = false }
            try folder.save(settings)
            folder.delete(OtherFleet.leaving)
            return notes
        } catch {
            guard !isNeeded else { throw error }
            return [
                "The old vaults still have shares of the key: whoever knows the old password and signs in there gets it. "
                    + "\(error.message) The next backups try to erase them."
            ]
        }
    }
}

extension CofferError {
    init(noPassword settings: DeviceSettings) {
        self.init(
            .notRegistered, "The backup of \(settings.source) has no password: no vaults hold its key.",
            advice: "To give it one: coffer password add --fleet FILE")
    }

    init(hasPassword settings: DeviceSettings) {
        self.init(
            .alreadyEnabled, "The backup of \(settings.source) has a password already.",
            advice: "coffer password change gives it another one; coffer password move takes it to another fleet.")
    }
}
