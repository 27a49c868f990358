import BackupEngine
import BackupSources

/// What reading a part of the packs has shown.
public struct SampleSummary: Sendable, Equatable, Codable {
    public let packs: Int
    public let packsRead: Int
    public let bytes: UInt64
    public let bytesRead: UInt64
    /// How much of the packs this device has read, and found sound, in the last so many days. 100 means all.
    public let coveredPercent: Int
    public let coveredDays: Int
    /// Packs that are damaged, by name.
    public let damaged: [String]

    init(_ report: PackSampleReport) {
        packs = report.packs
        packsRead = report.packsRead
        bytes = report.bytes
        bytesRead = report.bytesRead
        coveredPercent = report.coveredPercent
        coveredDays = Int(PackSample.windowSeconds / 86_400)
        damaged = report.damaged
    }
}

extension OpenedBackup {
    /// Reads a part of the packs whole and proves them, those that were read longest ago first.
    ///
    /// - Parameters:
    ///   - percent: how much of them.
    ///   - ledger: a file in which this device remembers which packs it has read; nil for none.
    public func readSample(
        percent: Double, ledger: String?, progress: @escaping ProgressHandler
    ) async throws(CofferError) -> SampleSummary {
        do {
            let report = try await PackSample.run(
                repository, percent: percent, ledger: ledger.map { LedgerFile(path: $0) }, now: secondsSince1970(),
                generator: SystemRandomNumberGenerator()
            ) { progress(ProgressUpdate($0)) }
            return SampleSummary(report)
        } catch {
            throw CofferError(error, place: place)
        }
    }
}

extension Device {
    static let ledgerName = "packs-read"

    /// Where this device remembers which packs of its store it has read.
    public var ledger: String { "\(folder.path)/\(Self.ledgerName)" }
}
