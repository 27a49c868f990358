import BackupFormat
import ByteCoding

/// What reading a part of the packs has shown.
package struct PackSampleReport: Equatable, Sendable {
    package var packs = 0
    package var packsRead = 0
    /// Of the packs' bytes.
    package var bytes: UInt64 = 0
    package var bytesRead: UInt64 = 0
    /// Bytes of packs that were read and found sound within the window, by this device.
    package var bytesCovered: UInt64 = 0
    /// Packs that are damaged, by name.
    package var damaged: [String] = []

    /// Rounded down: 100 means all.
    package var coveredPercent: Int {
        // A store of 2^57 bytes is not to be expected.
        let hundredfold = bytesCovered.multipliedReportingOverflow(by: 100)
        return bytes == 0 ? 100 : hundredfold.overflow ? 0 : Int(hundredfold.partialValue / bytes)
    }
}

/// Reads a part of the packs whole, those that were read longest ago first, so that regular runs read everything in turn.
package struct PackSample {
    package static let windowSeconds: UInt64 = 30 * 86_400
    /// A run that is killed has still read something.
    private static let packsPerSave = 64

    private let repository: Repository
    private let now: UInt64
    private let packs: [ChunkIndex.Pack]
    private var ledger: PackLedger
    private let prover: PackProver
    private var report = PackSampleReport()

    /// - Parameters:
    ///   - percent: how much of the packs' bytes to read.
    ///   - ledger: nil if nothing is remembered; then the packs are chosen at random.
    ///   - now: seconds since 1970.
    package static func run(
        _ repository: Repository, percent: Double, ledger: (any LedgerStorage)?, now: UInt64,
        generator: any RandomNumberGenerator & Sendable, report: @escaping ProgressReport
    ) async throws(ObjectStoreError) -> PackSampleReport {
        var generator = generator
        let loaded = try await repository.loadIndex()
        let condemned = loaded.removals.condemned
        var sample = PackSample(
            repository: repository, now: now,
            packs: loaded.index.packs.filter { !condemned.contains($0.id) }.shuffled(using: &generator),
            ledger: PackLedger(repository, ledger), prover: PackProver(repository))
        try await sample.read(percent: percent, report)
        return sample.report
    }

    private mutating func read(percent: Double, _ reportProgress: ProgressReport) async throws(ObjectStoreError) {
        report.packs = packs.count
        report.bytes = packs.reduce(0) { $0 + Self.bytes($1) }
        let wanted = UInt64(min(Double(report.bytes) * percent / 100, Double(report.bytes)).rounded(.up))
        var progress = Progress(phase: .verifying)
        progress.bytesTotal = wanted
        let ids = packs.map(\.id)
        defer { ledger.save(keeping: ids) }
        // The shuffle decides among those that were never read; sorting keeps it, since times of equals are equal.
        let order = packs.indices.sorted { left, right in
            let times = (lastRead(packs[left]), lastRead(packs[right]))
            return times.0 == times.1 ? left < right : times.0 < times.1
        }
        for number in order where report.bytesRead < wanted {
            let pack = packs[number]
            let isSound = try await prover.isSound(pack)
            ledger.note(pack.id, isSound: isSound, now: now)
            if !isSound { report.damaged.append(ObjectName.pack(pack.id).path) }
            report.packsRead += 1
            report.bytesRead += Self.bytes(pack)
            progress.bytes = min(report.bytesRead, wanted)
            reportProgress(progress)
            if report.packsRead.isMultiple(of: Self.packsPerSave) { ledger.save(keeping: ids) }
        }
        let windowBegan = now - min(now, Self.windowSeconds)
        report.bytesCovered = packs.reduce(0) { sum, pack in
            sum + (ledger.lastRead(pack.id, now: now).map { $0 >= windowBegan } == true ? Self.bytes(pack) : 0)
        }
    }

    private func lastRead(_ pack: ChunkIndex.Pack) -> UInt64 { ledger.lastRead(pack.id, now: now) ?? 0 }

    private static func bytes(_ pack: ChunkIndex.Pack) -> UInt64 {
        UInt64(ObjectCipher.objectBytes(plaintextBytes: pack.plaintextBytes))
    }
}
