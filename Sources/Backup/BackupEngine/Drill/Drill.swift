package import BackupFormat
import ByteCoding
import Primitives

/// Proves that a snapshot restores by restoring a random part of it, as a person would, and looking at what came back.
package struct Drill {
    package struct Options: Sendable {
        /// The chance of each file.
        package var percent: Double
        /// Databases are always restored, up to so much; at 100 percent all are.
        package var databaseBytesMax: UInt64

        package init(percent: Double = 5, databaseBytesMax: UInt64 = 2 << 30) {
            self.percent = percent
            self.databaseBytesMax = databaseBytesMax
        }
    }

    private static let spareBytes: UInt64 = 16 << 20

    private let snapshot: Snapshot
    private let repository: Repository
    private let index: ChunkIndex
    private let reportProgress: ProgressReport
    private var reader: ChunkReader
    private var report = DrillReport()
    /// Files whose attributes the scratch folder's file system did not take: that says nothing about the backup.
    private var attributesRefused: Set<[UInt8]> = []

    /// - Parameters:
    ///   - source: what the snapshot was made of, if it is on this device.
    ///   - scratch: empty; the caller removes it.
    package static func run(
        _ snapshot: Snapshot, from repository: Repository, _ index: ChunkIndex, into scratch: any DrillScratch,
        source: (any BackupSource)?, options: Options, generator: any RandomNumberGenerator & Sendable,
        report: @escaping ProgressReport
    ) async throws(DrillError) -> DrillReport {
        var drill = Drill(
            snapshot: snapshot, repository: repository, index: index, reportProgress: report,
            reader: ChunkReader(repository, index))
        let items = try await drill.choose(options, generator)
        try await drill.requireRoom(for: items, in: scratch)
        let restored = try await drill.restore(items, into: scratch)
        try await drill.check(restored, in: scratch, source)
        return drill.report
    }

    // MARK: What to restore

    private mutating func choose(
        _ options: Options, _ generator: any RandomNumberGenerator & Sendable
    ) async throws(DrillError) -> [DrillItem] {
        var generator = generator
        var sample = DrillSample(percent: options.percent)
        var folders: [(path: [UInt8], listings: ChunkList)] = []
        if case .directory(let listings) = snapshot.root.kind { folders = [([], listings)] }
        while let folder = folders.popLast() {
            let entries: [Entry]
            do { entries = try await reader.entries(of: folder.listings) } catch {
                if let failure = error.storeFailure { throw .store(failure) }
                report.findings.append(.folderDamaged(path: folder.path, error))
                continue
            }
            for entry in entries {
                let path = entry.path(in: folder.path)
                if case .directory(let listings) = entry.kind {
                    folders.append((path, listings))
                } else {
                    sample.add(DrillItem(path: path, entry: entry), using: &generator)
                }
            }
        }
        report.filesTotal = sample.filesSeen
        let (items, left) = sample.finished(databaseBytesMax: options.databaseBytesMax, using: &generator)
        report.databasesLeftOut = left.map(\.path)
        return items
    }

    /// What the files will take; a database that is built from layers is twice as large meanwhile.
    private mutating func requireRoom(
        for items: [DrillItem], in scratch: any DrillScratch
    ) async throws(DrillError) {
        guard let freeBytes = scratch.freeBytes else { return }
        var needed = Self.spareBytes
        var largestDatabase: UInt64 = 0
        for content in items.compactMap(\.content) {
            let written: UInt64
            do { written = try await reader.writtenBytes(of: content) } catch {
                // What is damaged the restore will name.
                guard let failure = error.storeFailure else { continue }
                throw .store(failure)
            }
            needed = needed.saturatingAdd(written)
            if content.form == .sqlitePages { largestDatabase = max(largestDatabase, content.contentBytes) }
        }
        needed = needed.saturatingAdd(largestDatabase)
        guard needed <= freeBytes else { throw .noRoom(neededBytes: needed, freeBytes: freeBytes) }
    }

    // MARK: Restoring

    /// - Returns: what came back, and is looked at.
    private mutating func restore(
        _ items: [DrillItem], into scratch: any DrillScratch
    ) async throws(DrillError) -> [DrillItem] {
        let paths = Set(items.map(\.path))
        let (files, bytes) = (
            items.count { $0.content != nil }, items.reduce(0) { $0 + ($1.content?.contentBytes ?? 0) }
        )
        let reportProgress = reportProgress
        let restored: RestoreReport
        do {
            let target = try scratch.target()
            restored = try await Restore.run(
                snapshot, from: repository, index, choosing: RestoreChoice { path, _ in paths.contains(path) },
                into: target
            ) { progress in
                var progress = progress
                (progress.filesTotal, progress.bytesTotal) = (files, bytes)
                reportProgress(progress)
            }
        } catch let error as RestoreError {
            switch error {
            case .store(let failure): throw .store(failure)
            case .target(let failure, _): throw .scratch(failure)
            case .noSuchPath: throw .scratch(.failed("nothing to restore"))
            }
        } catch let error as TargetError {
            throw .scratch(error)
        } catch {
            throw .scratch(.failed("\(error)"))
        }
        report.files = restored.files
        report.bytes = restored.bytes
        return noteMissing(restored.missing, items, in: scratch)
    }

    private mutating func noteMissing(
        _ missing: [RestoreReport.Missing], _ items: [DrillItem], in scratch: any DrillScratch
    ) -> [DrillItem] {
        var notRestored: Set<[UInt8]> = []
        for missing in missing {
            if case .refused = missing.reason, scratch.node(at: missing.path) != nil {
                attributesRefused.insert(missing.path)
            } else if !report.findings.contains(.folderDamaged(path: missing.path, missing.damage)) {
                notRestored.insert(missing.path)
                report.findings.append(.notRestored(path: missing.path, missing.reason))
            }
        }
        return items.filter { !notRestored.contains($0.path) }
    }

    // MARK: Looking at what came back

    private mutating func check(
        _ items: [DrillItem], in scratch: any DrillScratch, _ source: (any BackupSource)?
    ) async throws(DrillError) {
        var comparison = DrillComparison(snapshot, repository, index, scratch, source)
        var progress = Progress(phase: .verifying)
        progress.filesTotal = items.count
        progress.bytesTotal = items.reduce(0) { $0 + ($1.content?.contentBytes ?? 0) }
        let items = items.filter { !isBelowDamage($0.path) }
        for item in items {
            do {
                let seen = try await comparison.look(at: item, attributes: !attributesRefused.contains(item.path))
                report.findings += seen.findings
                report.comparedWithSource += seen.wasCompared ? 1 : 0
            } catch {
                throw .store(error)
            }
            progress.files += 1
            progress.bytes += item.content?.contentBytes ?? 0
            reportProgress(progress)
        }
        // After every look: SQLite needs permissions of its own, and a database with two names has them once.
        for item in items where item.isDatabase { checkDatabase(item.path, in: scratch) }
    }

    /// A folder that was damaged takes what is in it along.
    private func isBelowDamage(_ path: [UInt8]) -> Bool {
        report.findings.contains { finding in
            guard case .folderDamaged(let folder, _) = finding else { return false }
            return folder.isEmpty || path.starts(with: folder + [UInt8(ascii: "/")])
        }
    }

    private mutating func checkDatabase(_ path: [UInt8], in scratch: any DrillScratch) {
        switch scratch.check(databaseAt: path) {
        case .sound: report.databases += 1
        case .unsound(let words):
            report.databases += 1
            report.findings.append(.unsoundDatabase(path: path, words))
        case .unchecked(let reason): report.unchecked.append(.init(path: path, reason: reason))
        }
    }
}

extension RestoreReport.Missing {
    fileprivate var damage: ReadError {
        if case .damaged(let error) = reason { return error }
        return .missingChunk
    }
}
