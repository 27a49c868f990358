package import BackupFormat
import ByteCoding

/// Why a restore could not go on. What was restored until then is whole and stays.
package enum RestoreError: Error, Equatable, Sendable {
    /// The store could not be read; nothing is wrong with the snapshot as far as is known.
    case store(ObjectStoreError)
    /// The target has no room left or cannot be written.
    case target(TargetError, path: [UInt8])
    /// The snapshot has nothing of this path; nothing was restored.
    case noSuchPath([UInt8])
}

/// What a restore did.
package struct RestoreReport: Sendable, Equatable {
    /// Something of the snapshot that is not in the target, and why.
    package enum Reason: Sendable, Equatable {
        /// A part of it is damaged or missing in the store.
        case damaged(ReadError)
        /// Something else had its name in the target and was kept.
        case exists
        /// The file system did not take it.
        case refused(String)
    }

    package struct Missing: Sendable, Equatable {
        package var path: [UInt8]
        package var reason: Reason
    }

    package var files = 0
    /// Of the files those that were there already, byte for byte: a restore that was cut goes on.
    package var filesKept = 0
    package var directories = 0
    package var symbolicLinks = 0
    package var bytes: UInt64 = 0
    package var missing: [Missing] = []
}

/// Brings a snapshot's tree back into a target; damage costs the files it lies in and nothing else.
package struct Restore {
    private var reader: ChunkReader
    private let keyring: Keyring
    private let target: any RestoreTarget
    private let reportProgress: ProgressReport
    private let choice: RestoreChoice
    /// The folders on the way that were not entered yet, since nothing in them was chosen so far.
    private var waiting: [(entry: Entry, path: [UInt8])] = []
    private let beganSeconds: UInt64
    private var round = RestoreRound.messages
    /// Those that have anything in them, as the first one finds.
    private var rounds: Set<RestoreRound> = [.rest]
    /// Those whose listings could not be read, in any round.
    private var damagedFolders: Set<[UInt8]> = []
    private let comparison = ContentComparison()
    private var progress = Progress(phase: .restoring)
    private var report = RestoreReport()

    /// - Parameter choice: what is restored, with the folders above it.
    package static func run(
        _ snapshot: Snapshot, from repository: Repository, _ index: ChunkIndex,
        choosing choice: RestoreChoice = .everything,
        into target: any RestoreTarget, report: @escaping ProgressReport
    ) async throws(RestoreError) -> RestoreReport {
        var restore = Restore(
            reader: ChunkReader(repository, index), keyring: repository.keyring, target: target,
            reportProgress: report, choice: choice, beganSeconds: snapshot.beganSeconds)
        restore.progress.filesTotal = Int(clamping: snapshot.totals.files)
        restore.progress.bytesTotal = snapshot.totals.contentBytes
        guard case .directory(let listings) = snapshot.root.kind else { return restore.report }
        // Before any folder above them is made.
        try await requirePaths(of: choice, in: snapshot, repository, index)
        for round in RestoreRound.allCases where round == .messages || restore.rounds.contains(round) {
            restore.round = round
            try await restore.contents(of: listings, path: [])
        }
        try restore.complete([]) { target throws(TargetError) in try target.leaveDirectory(snapshot.root.metadata) }
        restore.countFiles(of: snapshot)
        return restore.report
    }

    /// Throws `noSuchPath` if one of the paths is not there; what is damaged is left to the restore.
    package static func requirePaths(
        of choice: RestoreChoice, in snapshot: Snapshot, _ repository: Repository, _ index: ChunkIndex
    ) async throws(RestoreError) {
        for path in choice.paths {
            do { _ = try await repository.browse(snapshot, path: path, index) } catch {
                if error == .noSuchPath { throw .noSuchPath(path) }
            }
        }
    }

    private mutating func contents(of listings: ChunkList, path: [UInt8]) async throws(RestoreError) {
        var run = ListingRun()
        let ids: [ChunkID]
        do { ids = try await reader.ids(of: listings) } catch { return try damagedFolder(path, error) }
        for id in ids {
            let entries: [Entry]
            do {
                entries = try run.entries(in: try await reader.read(id))
            } catch {
                // Another listing of the folder may be whole.
                try damagedFolder(path, error)
                continue
            }
            for entry in entries { try await restore(entry, in: path) }
        }
    }

    private mutating func restore(_ entry: Entry, in folder: [UInt8]) async throws(RestoreError) {
        let path = entry.path(in: folder)
        guard choice.leads(to: path) else { return }
        if choice.paths == [path] { expect(entry) }
        do {
            try await restore(entry, path: path)
        } catch .target(let failure, let failed) where failure != .full {
            if waiting.last?.path == path { waiting.removeLast() }
            // A folder that cannot be made fails in each round; the last one comes to everything that is missing for it.
            guard round == .rest || failed == path else { return }
            report.missing.append(.init(path: path, reason: Self.reason(failure)))
        }
    }

    private static func reason(_ failure: TargetError) -> RestoreReport.Reason {
        switch failure {
        case .exists: .exists
        case .failed(let detail), .attributes(let detail): .refused(detail)
        case .full: .refused("no room")
        }
    }

    /// What is to come, where it is not the whole snapshot.
    private mutating func expect(_ entry: Entry) {
        guard case .file(let content) = entry.kind else { return }
        progress.filesTotal = 1
        progress.bytesTotal = content.contentBytes
    }

    private mutating func restore(_ entry: Entry, path: [UInt8]) async throws(RestoreError) {
        switch entry.kind {
        case .directory(let listings):
            waiting.append((entry, path))
            if round == .rest, choice.wants == nil, choice.covers(path) { try enterWaiting() }
            try await contents(of: listings, path: path)
            // Nothing in it was chosen.
            if waiting.popLast() != nil { return }
            let metadata = round == .rest ? entry.metadata : nil
            try complete(path) { target throws(TargetError) in try target.leaveDirectory(metadata) }
            if round == .rest { report.directories += 1 }
        case .symbolicLink, .file:
            guard choice.covers(path), choice.wants?(path, entry) ?? true else { return }
            let own = RestoreRound(of: entry, at: path, beganSeconds: beganSeconds)
            rounds.insert(own)
            // The last round gives every folder its attributes.
            if own == round || round == .rest { try enterWaiting() }
            if own == round { try await restoreLeaf(entry, path: path) }
        }
    }

    /// Makes the folders above what was chosen.
    private mutating func enterWaiting() throws(RestoreError) {
        while let (entry, path) = waiting.first {
            try at(path) { target throws(TargetError) in try target.enterDirectory(entry.name) }
            waiting.removeFirst()
        }
    }

    private mutating func restoreLeaf(_ entry: Entry, path: [UInt8]) async throws(RestoreError) {
        switch entry.kind {
        case .directory: break
        case .symbolicLink(let link):
            if target.existingLink(entry.name) != link {
                try complete(path) { target throws(TargetError) in
                    try target.symbolicLink(entry.name, target: link, metadata: entry.metadata)
                }
            }
            report.symbolicLinks += 1
        case .file(let content):
            try await restore(content, of: entry, path: path)
        }
    }

    private mutating func restore(
        _ content: FileContent, of entry: Entry, path: [UInt8]
    ) async throws(RestoreError) {
        if let existing = target.existingFile(entry.name) {
            guard try await isSame(existing, as: content) else { throw .target(.exists, path: path) }
            target.keepFile(entry.name, linkGroup: content.linkGroup)
            report.filesKept += 1
            progress.bytes += content.contentBytes
        } else if content.linkGroup != 0,
            try at(
                path,
                { target throws(TargetError) in
                    try target.link(entry.name, linkGroup: content.linkGroup)
                })
        {
            progress.bytes += content.contentBytes
        } else {
            guard try await restoreContent(content, of: entry, path: path) else { return }
        }
        report.files += 1
        report.bytes += content.contentBytes
        progress.files += 1
        reportProgress(progress)
    }

    /// False if a part of it is damaged, which is then noted.
    private mutating func restoreContent(
        _ content: FileContent, of entry: Entry, path: [UInt8]
    ) async throws(RestoreError) -> Bool {
        try at(path) { target throws(TargetError) in try target.beginFile(entry.name) }
        do {
            let isWhole =
                content.form == .sqlitePages
                ? try await writeDatabase(content, path: path) : try await write(content, path: path)
            guard isWhole else {
                target.abandonFile()
                return false
            }
            try complete(path) { target throws(TargetError) in
                try target.finishFile(entry.metadata, linkGroup: content.linkGroup)
            }
            return true
        } catch {
            target.abandonFile()
            throw error
        }
    }

    /// False also if that cannot be told.
    private mutating func isSame(_ file: any SourceFile, as content: FileContent) async throws(RestoreError) -> Bool {
        do {
            return try await comparison.isSame(file, as: content, &reader)
        } catch {
            if let failure = error.storeFailure { throw .store(failure) }
            return false
        }
    }

    /// Writes all blocks; false if one is damaged, which is then noted.
    private mutating func write(_ content: FileContent, path: [UInt8]) async throws(RestoreError) -> Bool {
        do {
            var left = content.contentBytes
            for id in try await reader.ids(of: content.blocks) {
                let count = Int(min(left, UInt64(content.blockBytes)))
                guard count > 0 else { throw ReadError.damaged("a file's list of blocks") }
                if id == .zeros {
                    try at(path) { target throws(TargetError) in try target.skip(count) }
                } else {
                    let block = try await reader.read(id)
                    guard block.count == count else { throw ReadError.damaged("a file's list of blocks") }
                    try at(path) { target throws(TargetError) in try target.write(block) }
                }
                left -= UInt64(count)
                progress.bytes += UInt64(count)
                reportProgress(progress)
            }
            guard left == 0 else { throw ReadError.damaged("a file's list of blocks") }
            return true
        } catch let error as ReadError {
            try damaged(path, error)
            return false
        } catch let error as RestoreError {
            throw error
        } catch {
            throw .target(.failed("\(error)"), path: path)
        }
    }

    /// Builds a database from its layers; false if a part is damaged, which is then noted.
    private mutating func writeDatabase(_ content: FileContent, path: [UInt8]) async throws(RestoreError) -> Bool {
        let bytesBefore = progress.bytes
        var progress = progress
        let reportProgress = reportProgress
        do throws(DatabaseRestoreError) {
            try await DatabaseRestore.run(content, from: &reader, keyring: keyring, into: target) { count in
                progress.bytes += count
                reportProgress(progress)
            }
            self.progress.bytes = bytesBefore + content.contentBytes
            return true
        } catch {
            switch error {
            case .read(let failure):
                try damaged(path, failure)
                return false
            case .target(let failure): throw .target(failure, path: path)
            }
        }
    }

    private func at<Result>(
        _ path: [UInt8], _ body: (any RestoreTarget) throws(TargetError) -> Result
    ) throws(RestoreError) -> Result {
        do { return try body(target) } catch { throw .target(error, path: path) }
    }

    /// Notes attributes that were not taken, and goes on.
    private mutating func complete(
        _ path: [UInt8], _ body: (any RestoreTarget) throws(TargetError) -> Void
    ) throws(RestoreError) {
        do {
            try at(path, body)
        } catch .target(.attributes(let detail), _) {
            report.missing.append(
                .init(path: path, reason: .refused("it is there, but without some of its attributes: \(detail)")))
        }
    }

    /// As `damaged`, once for all rounds, and in whichever it is: a store that answers wrongly now and rightly later would else keep
    /// back, without a word, what this round was to bring.
    private mutating func damagedFolder(_ path: [UInt8], _ error: ReadError) throws(RestoreError) {
        if error.storeFailure != nil || damagedFolders.insert(path).inserted { try damaged(path, error) }
    }

    /// The second guard against files that are left out in silence: the snapshot says how many it has.
    private mutating func countFiles(of snapshot: Snapshot) {
        guard choice.isEverything, report.missing.isEmpty, report.files < snapshot.totals.files else { return }
        report.missing.append(.init(path: [], reason: .damaged(.damaged("the number of files"))))
    }

    /// Notes damage and lets the restore go on; a store that cannot be read at all ends it.
    private mutating func damaged(_ path: [UInt8], _ error: ReadError) throws(RestoreError) {
        if case .store(let failure) = error { throw .store(failure) }
        report.missing.append(.init(path: path, reason: .damaged(error)))
    }
}
