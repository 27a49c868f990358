import BackupEngine
import BackupFormat

/// What a repair found and did, or, if it was a trial, would do.
public struct RepairSummary: Sendable, Equatable, Codable {
    /// A file or folder that some snapshots cannot bring back whole any more.
    public struct Lost: Sendable, Equatable, Codable {
        public let path: String
        /// Numbers of the snapshots that have it so; others may have it whole.
        public let snapshots: [Int]
    }

    /// Packs that were read.
    public let packs: Int
    public let isClean: Bool
    /// What was damaged and what was done about it, a sentence each.
    public let mended: [String]
    /// What could not be mended and is not lost by that, a sentence each.
    public let notes: [String]
    /// Snapshots that cannot be read at all.
    public let lostSnapshots: [String]
    /// The first files and folders that are lost.
    public let lost: [Lost]
    /// At least so many, if that is more than are named.
    public let lostCount: Int

    init(_ report: RepairReport, isTrial: Bool) {
        func done(_ past: String, _ would: String) -> String { isTrial ? would : past }
        packs = report.packs
        isClean = report.isClean
        var mended = report.damagedPacks.map {
            "\($0): damaged or gone; no backup "
                + done(
                    "builds on it any more, so that the next one stores",
                    "would build on it any more: the next one would store")
                + " again what this device still has."
        }
        mended += report.damagedIndexes.map {
            "\($0): did not open; an index made from the packs themselves \(done("took", "would take")) its place."
        }
        if report.wroteIndex, report.damagedIndexes.isEmpty {
            mended.append("Packs that no index listed are in a new one.")
        }
        mended += report.damagedRemovals.map {
            "\($0): did not open and \(done("was", "would be")) removed; backups that were removed by it look lost."
        }
        mended += report.damagedKeyringCopies.map {
            "\($0): does not open; "
                + (report.newKeyring.map { "both copies were written anew as keyring \($0)." }
                    ?? (isTrial ? "both copies would be written anew." : "the other copy is whole."))
        }
        self.mended = mended
        notes =
            report.halfDamagedSnapshots.map {
                "\($0): one of its two copies is damaged. It is read from the other; a new backup does not depend on it."
            }
            + report.leftAlone.map {
                "\($0): does not open, but may be another device's that is replacing the key. It was left alone."
            }
        lostSnapshots = report.lostSnapshots
        lost = report.lost.map {
            Lost(path: String(decoding: $0.path, as: UTF8.self), snapshots: $0.snapshots.map(Int.init))
        }
        lostCount = report.lostCount
    }
}

extension OpenedBackup {
    /// Mends what can be mended from what is still in the store, and says what is lost. Reads every pack.
    ///
    /// - Parameter isTrial: only say what would be done.
    public func repair(
        isTrial: Bool = false, progress: @escaping ProgressHandler
    ) async throws(CofferError) -> RepairSummary {
        do {
            let report = try await Repair.run(
                repository, key: key, options: Repair.Options(isTrial: isTrial), now: secondsSince1970(),
                generator: SystemRandomNumberGenerator()
            ) { progress(ProgressUpdate($0)) }
            return RepairSummary(report, isTrial: isTrial)
        } catch .store(let error) {
            throw CofferError(error, place: place)
        } catch {
            throw CofferError(
                .internalError, "There is more to repair than the format can name.",
                advice: "Please report this with the version of Coffer.")
        }
    }
}
