import BackupEngine
import BackupFormat
import ByteCoding
import FleetFiles
import RecoveryProtocol

/// What this device said of its last backup, and how many vaults said that they keep it.
struct DeviceHead: ByteCodable, Equatable, Sendable {
    static let fileName = "head"

    let head: SealedHead
    let acknowledged: UInt8

    init(head: SealedHead, acknowledged: UInt8) {
        self.head = head
        self.acknowledged = acknowledged
    }

    init(from reader: inout ByteReader) throws(ByteCodingError) {
        head = try SealedHead(from: &reader)
        acknowledged = try reader.uint8()
    }

    func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try head.encode(into: &writer)
        writer.uint8(acknowledged)
    }
}

extension Device {
    /// A damaged or missing one is none: the vaults know too.
    var ownHead: DeviceHead? {
        let file = try? folder.read(DeviceHead.fileName)
        return file.flatMap { try? DeviceHead(decoding: $0) }
    }

    func headSource(_ settings: DeviceSettings, _ key: BackupKey) -> HeadSource {
        HeadSource(key: key, own: ownHead?.head) { () throws(CofferError) in try fleetAccess(settings) }
    }

    /// Notes a backup on this device and has the vaults keep its head. The backup stands, whatever becomes of this: the
    /// next one does it again.
    ///
    /// - Returns: nil where no vaults hold the key.
    func setHead(
        _ snapshot: Snapshot, in repository: Repository, _ settings: DeviceSettings, key: BackupKey
    ) async -> HeadAcknowledgement? {
        let head = try? BackupHead(
            snapshot, keyring: repository.keyring.number, header: repository.header, key: key)
        return await tell(head, of: repository.header.store, settings, key: key)
    }

    /// After K, the keyring or the header was replaced: what this device and the vaults know of the newest backup, sealed
    /// under the present key. Not the newest that the store shows, lest a replacement hide that it shows an older state.
    ///
    /// - Parameters:
    ///   - repository: opened with the present key.
    ///   - earlier: the key before, if it was replaced.
    func renewHead(
        in repository: Repository, _ settings: DeviceSettings, key: BackupKey, earlier: BackupKey? = nil
    ) async -> HeadAcknowledgement? {
        let (known, _) = await knownHeads(repository.header.store, settings, key: key, earlier: earlier)
        let head = try? known.newest?.renewed(
            keyring: repository.keyring.number, header: repository.header, key: key)
        return await tell(head, of: repository.header.store, settings, key: key)
    }

    /// Before the earlier key is forgotten. What is known of the newest backup would go with it.
    ///
    /// - Returns: whether this device has it under the present key, and enough vaults were heard of it.
    func takeHeadAlong(
        in repository: Repository, _ settings: DeviceSettings, key: BackupKey, earlier: BackupKey
    ) async -> Bool {
        let store = repository.header.store
        let (known, isSure) = await knownHeads(store, settings, key: key, earlier: earlier)
        guard isSure else { return false }
        guard let newest = known.newest else { return true }
        let head = try? newest.renewed(keyring: repository.keyring.number, header: repository.header, key: key)
        _ = await tell(head, of: store, settings, key: key)
        guard let own = ownHead, let noted = BackupHead.open(own.head.bytes, for: store, under: key) else {
            return false
        }
        return noted.isAsNew(as: newest)
    }

    /// - Returns: what this device and the vaults know, and whether t of these said it, where there are any.
    private func knownHeads(
        _ store: StoreID, _ settings: DeviceSettings, key: BackupKey, earlier: BackupKey?
    ) async -> (known: KnownHeads, isSure: Bool) {
        var sealed = ownHead.map { [$0.head] } ?? []
        var isSure = pinnedFleet == nil
        if let access = try? fleetAccess(settings) {
            let fleet = await access.client.heads(backupKey: key.secret)
            sealed += fleet.heads
            isSure = fleet.countingAnswers >= access.file.fleet.threshold
        }
        let heads = sealed.compactMap { sealed in
            [key, earlier].compactMap { $0 }.lazy
                .compactMap { BackupHead.open(sealed.bytes, for: store, under: $0) }.first
        }
        return (KnownHeads(heads: heads), isSure)
    }

    private func tell(
        _ head: BackupHead?, of store: StoreID, _ settings: DeviceSettings, key: BackupKey
    ) async -> HeadAcknowledgement? {
        guard let head, let sealed = try? SealedHead(try head.sealed(for: store, under: key)) else { return nil }
        note(DeviceHead(head: sealed, acknowledged: 0))
        let told: HeadAcknowledgement?
        do throws(CofferError) {
            guard let access = try fleetAccess(settings) else { return nil }
            let fleet = access.file.fleet
            let (vaults, problems) = await access.client.setHead(sealed, backupKey: key.secret) { other in
                BackupHead.open(other.bytes, for: store, under: key)?.makesNeedless(head) ?? false
            }
            told = HeadAcknowledgement(
                acknowledged: vaults.count, vaults: fleet.currentVaults.count, threshold: fleet.threshold,
                problems: problems.map { "\($0.words)." })
        } catch {
            told = untold(because: error)
        }
        note(DeviceHead(head: sealed, acknowledged: UInt8(clamping: told?.acknowledged ?? 0)))
        return told
    }

    /// The vaults cannot even be asked.
    private func untold(because error: CofferError) -> HeadAcknowledgement? {
        guard let fleet = pinnedFleet else { return nil }
        return HeadAcknowledgement(
            acknowledged: 0, vaults: fleet.currentVaults.count, threshold: fleet.threshold,
            problems: ["\(error.message) \(error.advice)"])
    }

    private var pinnedFleet: Fleet? {
        let file = try? folder.read(FleetAccess.fileName)
        return file.flatMap { try? FleetAccess.fleet(of: String(decoding: $0, as: UTF8.self)) }
    }

    /// How many vaults know of the last backup of this device; nil where no vaults hold the key, or nothing was backed
    /// up since there are heads.
    func acknowledgement() -> HeadAcknowledgement? {
        guard let fleet = pinnedFleet, let own = ownHead else { return nil }
        return HeadAcknowledgement(
            acknowledged: Int(own.acknowledged), vaults: fleet.currentVaults.count, threshold: fleet.threshold,
            problems: [])
    }

    private func note(_ head: DeviceHead) {
        guard let bytes = try? head.encoded() else { return }
        try? folder.write(DeviceHead.fileName, bytes)
    }
}
