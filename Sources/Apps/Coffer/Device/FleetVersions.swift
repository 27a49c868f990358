import BackupEngine
import BackupFormat
import FleetFiles
import RecoveryProtocol

// What holds where a backup goes from one fleet, or one version of it, to another.

extension Device {
    static func isSameFleet(_ file: [UInt8], _ text: String) throws(CofferError) -> Bool {
        try FleetAccess.fleet(of: String(decoding: file, as: UTF8.self)).id == FleetAccess.fleet(of: text).id
    }

    /// Whether it is a version of the fleet that the backup has, to which the password can go without a moment in which it
    /// opens nothing.
    func isNewerVersion(_ access: FleetAccess) throws(CofferError) -> Bool {
        guard let file = try folder.read(FleetAccess.fileName) else { return false }
        let (present, new) = (
            try FleetAccess.fleet(of: String(decoding: file, as: UTF8.self)), access.file.fleet
        )
        guard present.id == new.id else { return false }
        guard new.generation(version: present.version) == present.current else {
            throw CofferError(
                .badFleetFile,
                "The fleet file is an older version of the fleet that the backup has, or does not know it.",
                advice: "Nothing was changed. Get the newest file from whoever runs the vaults.")
        }
        let kept = new.currentVaults.count { vault in present.currentVaults.contains { $0.id == vault.id } }
        if kept == 0 { return false }
        guard kept >= present.threshold else {
            throw CofferError(
                .badFleetFile,
                "Of the vaults that have the key only \(kept) are in the new version of the fleet, and \(present.threshold) "
                    + "are needed: on the way there the password would open nothing. Nothing was changed.",
                advice: "Take a version in between; or, with the 64 digits at hand, `coffer password remove` and then "
                    + "`coffer password add --fleet FILE`.")
        }
        return true
    }

    /// Vaults of that fleet that are in use: a version of it is the fleet that the backup has.
    func inUse(in access: FleetAccess) throws(CofferError) -> [VaultID] {
        guard let file = try folder.read(FleetAccess.fileName) else { return [] }
        let present = try FleetAccess.fleet(of: String(decoding: file, as: UTF8.self))
        return present.id == access.file.fleet.id ? present.currentVaults.map(\.id) : []
    }

    /// Erases what the fleet may have got to which the backup was to go; nothing that is in use.
    func erasePending(_ settings: DeviceSettings) async throws(CofferError) {
        guard let file = try folder.read(OtherFleet.next), let signIn = settings.fleetChange?.signIn else { return }
        let access = try FleetAccess(fleetText: String(decoding: file, as: UTF8.self), signIn: signIn)
        _ = try await erase(settings, access, sparing: try inUse(in: access))
    }

    /// A newer version that the store names has to get its registration first: there is room for one fleet that is left.
    func requireNamed(_ text: String?, _ settings: DeviceSettings) throws(CofferError) {
        guard settings.fleetChange?.isNamed == true else { return }
        guard let text, try folder.read(FleetAccess.fileName) == Array(text.utf8) else {
            throw CofferError(
                .changePending,
                "The backup has a newer version of its fleet, whose vaults have yet to get the key under your password. "
                    + "The password opens the backup as before.",
                advice: "Run `coffer password move` with the file of that version again first.")
        }
    }

    /// Whoever writes a header with one tag while there are two takes the store from the other key.
    func requireOneKey(_ backup: OpenedBackup) async throws(CofferError) {
        let store = backup.repository.store
        do {
            guard try await Repository.isKeyBeingReplaced(in: store) else { return }
        } catch { throw CofferError(error, place: store.place) }
        throw CofferError(
            .changePending,
            "The key of this backup is being replaced from another device. The store was left as it is.",
            advice:
                "Run `coffer key rotate` there again, until it is done. Then go on from there; or join the backup anew "
                + "from here, with the new key.")
    }
}

extension CofferError {
    init(noSignIn settings: DeviceSettings) {
        self.init(
            .tokenRefused, "Vaults keep the key of \(settings.source)'s backup, and this device has no sign-in there.",
            advice:
                "`coffer password change` with --token-file or --token-command gives it one; the same password will do."
        )
    }
}
