import BackupEngine
import BackupFormat
import Foundation

/// Every way to unlock this device's backup.
public struct ProtectionsReport: Sendable, Codable {
    /// Whether the person confirmed on this device that they saved the 64 digits. They open the backup in any case.
    public let digitsSaved: Bool
    /// The vaults that give the key back for the password; nil if there is none.
    public let fleet: FleetSummary?
    /// Where this device keeps the key: `secret-service` or `file`.
    public let keyStorage: String
    /// What was begun and is not done, a sentence each.
    public let pending: [String]
}

/// What was copied to the place where a backup is now.
public struct MoveSummary: Sendable, Codable {
    public let from: String
    public let to: String
    public let objects: Int
    public let bytes: UInt64
    /// Objects that an earlier run had copied.
    public let alreadyThere: Int
}

extension Device {
    public func protections() async throws(CofferError) -> ProtectionsReport {
        let backup = try await open()
        let settings = try enabledSettings()
        var fleet: FleetSummary?
        if let text = backup.repository.header.fleet { fleet = FleetSummary(try FleetAccess.fleet(of: text)) }
        var pending: [String] = []
        if settings.newKey != nil {
            pending.append("The key is being replaced, and both keys open the backup: coffer key rotate goes on.")
        }
        if settings.fleetChange != nil { pending.append("A change of the vaults was cut short: run it again.") }
        if settings.leavingSignIn != nil {
            pending.append("Vaults that were left still have shares of the key; the next backup erases them.")
        }
        if try folder.read(UndeliveredFile.name) != nil {
            pending.append("Some vaults lack their share; the next backup delivers it.")
        }
        return ProtectionsReport(
            digitsSaved: settings.protections.contains(.sixtyFourDigitKey), fleet: fleet,
            keyStorage: settings.keyStorage.rawValue, pending: pending)
    }

    /// Copies the backup to another place, and goes on there. The old place is left as it is. If it is cut short it may be
    /// called again, and goes on.
    public func move(to location: String) async throws(CofferError) -> MoveSummary {
        let lock = try folder.lock()
        defer { lock.release() }
        let backup = try await open(try enabledSettings())
        var settings = try enabledSettings()
        try requireNoChange(settings)
        let (_, absolute, unlimited) = try places(settings.source, location)
        try requireApart(backup.repository.store.place, unlimited.place)
        let target = (limit ?? settings.limit ?? .off).applied(to: unlimited)
        let report: StoreCopyReport
        do {
            report = try await StoreCopy.run(from: backup.repository, to: target, progress: { _ in })
        } catch {
            throw CofferError(error, from: settings.store, to: location)
        }
        // What opens there is what was here.
        _ = try await OpenedBackup(store: target, key: try key(settings).key)
        let from = settings.store
        settings.store = absolute
        settings.capabilities = try? await target.probed()
        try folder.save(settings)
        return MoveSummary(
            from: from, to: absolute, objects: report.objects, bytes: report.bytes, alreadyThere: report.alreadyThere)
    }
}
