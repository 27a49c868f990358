import BackupEngine
import BackupFormat
import ByteCoding
import FleetFiles
import Primitives
import RecoveryProtocol

/// Where it is known which backup is the newest, so that a store that shows an older state is found out: the vaults
/// that keep the key, and this device.
struct HeadSource: Sendable {
    let key: BackupKey
    /// What this device itself wrote last.
    var own: SealedHead?
    /// Nil where no vaults hold the key; throws where they cannot be asked.
    let access: @Sendable () throws(CofferError) -> FleetAccess?

    func ask(for store: StoreID) async -> KnownHeads {
        var known = KnownHeads()
        var sealed = own.map { [$0] } ?? []
        do throws(CofferError) {
            if let access = try access() {
                let fleet = await access.client.heads(backupKey: key.secret)
                sealed += fleet.heads
                known.note = note(on: fleet, of: access.file.fleet)
            }
        } catch {
            known.note = "\(error.message) So the vaults could not say whether the store shows your last backup."
        }
        known.heads = sealed.compactMap { BackupHead.open($0.bytes, for: store, under: key) }
        known.own = own.flatMap { BackupHead.open($0.bytes, for: store, under: key) }
        return known
    }

    private func note(on heads: FleetHeads, of fleet: Fleet) -> String? {
        guard heads.countingAnswers < fleet.threshold else { return nil }
        let problems = heads.problems.map { "\($0.words)." }.joined(separator: " ")
        return
            "Only \(heads.countingAnswers) of \(fleet.currentVaults.count) vaults could say which backup is the newest, "
            + "too few to be sure that the store shows it.\(problems.isEmpty ? "" : " \(problems)")"
    }
}

struct KnownHeads: Sendable {
    var heads: [BackupHead] = []
    /// What this device wrote last.
    var own: BackupHead?
    /// What the person should know of the asking.
    var note: String?

    var newest: BackupHead? { heads.max { !$0.isAsNew(as: $1) } }
}

/// What was said of a backup to the vaults, and how many keep it.
public struct HeadAcknowledgement: Sendable, Equatable, Codable {
    /// How many vaults know of the backup.
    public let acknowledged: Int
    public let vaults: Int
    public let threshold: Int
    public let problems: [String]

    package init(acknowledged: Int, vaults: Int, threshold: Int, problems: [String]) {
        self.acknowledged = acknowledged
        self.vaults = vaults
        self.threshold = threshold
        self.problems = problems
    }

    /// How many vaults must answer a restore, so that it surely notices if the store shows an older state; nil if there
    /// are not so many. (w + r ≥ n + t.)
    public var answersNeeded: Int? {
        let needed = max(threshold, vaults + threshold - acknowledged)
        return needed <= vaults ? needed : nil
    }

    /// In words, if not all vaults know of it.
    public var note: String? {
        guard acknowledged < vaults else { return nil }
        let what = "\(acknowledged) of \(vaults) vaults know of your last backup"
        let then =
            answersNeeded.map {
                "if the store ever shows an older state, a restore surely notices when \($0) of them answer"
            } ?? "too few for a restore to notice for sure if the store ever shows an older state"
        let problems = problems.isEmpty ? "" : " \(problems.joined(separator: " "))"
        return "\(what): \(then). The next backup tells the others.\(problems)"
    }
}

extension OpenedBackup {
    /// What heads tell about the store: what is wrong, if anything, and what else the person should know.
    struct HeadCheck: Sendable {
        var verdict: HeadVerdict?
        var newest: BackupHead?
        var notes: [String] = []
    }

    func checkHeads() async throws(CofferError) -> HeadCheck {
        guard let heads else { return HeadCheck() }
        let known = await heads.ask(for: repository.header.store)
        var check = HeadCheck(newest: known.newest, notes: known.note.map { [$0] } ?? [])
        do { check.verdict = try await repository.verdict(on: known.heads) } catch {
            throw CofferError(error, place: place)
        }
        guard let newest = known.newest else { return check }
        if repository.keyring.number < newest.keyring {
            check.notes.append("The store shows an older keyring than your last backup was made with.")
        }
        if let tag = try? repository.header.tag(under: heads.key), !tag.starts(with: newest.header) {
            check.notes.append(
                "\(place)/coffer.json is genuine, and not the one of your last backup: either a device has changed how the "
                    + "backup is protected since, or the store shows an older one.")
        }
        return check
    }

    /// What the vaults and this device say against the store, in sentences; empty if nothing.
    public func headNotes() async throws(CofferError) -> [String] {
        let check = try await checkHeads()
        return (check.verdict?.finding(in: place).map { [$0] } ?? []) + check.notes
    }

    /// - Returns: what the person should know besides.
    func requireCurrent(unless isAccepted: Bool, _ stopped: CofferError.Stopped) async throws(CofferError) -> HeadCheck
    {
        var check = try await checkHeads()
        guard let finding = check.verdict?.finding(in: place) else { return check }
        if let error = check.verdict.flatMap({ CofferError($0, place: place, stopped) }), !isAccepted { throw error }
        check.notes.insert(finding, at: 0)
        return check
    }
}

extension HeadVerdict {
    /// A sentence, if the store does not show what it should.
    func finding(in place: String) -> String? {
        switch self {
        case .current: return nil
        case .damaged(let head, let newest):
            let shown =
                verdictOnDamage == nil
                ? "" : newest == 0 ? " Nor can any other." : " The newest that can is snapshot \(newest)."
            return
                "Your last backup of \(head.time), snapshot \(head.number), is in \(place), but cannot be read.\(shown)"
        case .older(let head, let newest):
            let missing = head.number - newest
            let shown = newest == 0 ? "no backup can be read there" : "the newest one there is snapshot \(newest)"
            return
                "\(place) shows an older state than your last backup of \(head.time): that was snapshot \(head.number), "
                + "and \(shown). \(missing == 1 ? "1 is" : "\(missing) are") missing."
        case .otherHistory(let head):
            return
                "\(place) shows another history than yours: your last backup of \(head.time), snapshot \(head.number), is "
                + "not in it, and what is there was not made after it."
        }
    }
}

extension HeadVerdict {
    /// One file of a snapshot's name is all it takes to look damaged: what else the store shows then. Nil if all but that one
    /// snapshot is there: a newer backup mends it.
    fileprivate var verdictOnDamage: CofferError.Code? {
        guard case .damaged(let head, let newest) = self, newest &+ 1 != head.number else { return nil }
        return newest < head.number ? .olderState : .otherHistory
    }
}

extension BackupHead {
    fileprivate var time: String { Timestamp(unixSeconds: endedSeconds).words }
}

extension CofferError {
    /// What was not done because the store is not as it should be.
    enum Stopped {
        case restore, backUp
    }

    init?(_ verdict: HeadVerdict, place: String, _ stopped: Stopped) {
        let code: Code
        switch verdict {
        case .current: return nil
        case .damaged:
            guard let found = verdict.verdictOnDamage else { return nil }
            // Restoring the newest says so by itself, as long as the damaged one is the newest.
            if stopped == .restore, found == .olderState { return nil }
            code = found
        case .older: code = .olderState
        case .otherHistory: code = .otherHistory
        }
        let finding = verdict.finding(in: place) ?? ""
        switch stopped {
        case .restore:
            self.init(
                code, "\(finding) Nothing was restored.",
                advice:
                    "Look for a newer copy of the store; if another program keeps it in step, let it finish. To restore "
                    + "what is there: --accept-older.")
        case .backUp:
            self.init(
                code, "\(finding) Nothing was backed up: a new backup would hide the loss.",
                advice:
                    "Look for a newer copy of the store; if another program keeps it in step, let it finish. If the "
                    + "newer backups are lost for good, go on from what is there: --accept-older.")
        }
    }
}
