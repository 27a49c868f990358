import ArgumentParser
import Coffer
import Foundation

struct Verify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prove the newest snapshot restorable, and the newest import.",
        discussion: """
            Checks that everything it needs is there and in order; with --deep, reads and proves every byte, and decodes every \
            database. Whether this device can take it, a drill shows: coffer drill.
            """)

    @Flag(help: "Read every byte.") var deep = false
    @Option(
        help: ArgumentHelp(
            "Read this part of the packs, those that were read longest ago first: daily runs read everything in turn.",
            valueName: "percent"))
    var sample: Percentage?
    @OptionGroup var unlock: UnlockOptions
    @OptionGroup var transfer: TransferOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard !deep || sample == nil else { throw ValidationError("Say --deep or --sample, not both.") }
    }

    func run() async throws {
        let backup = try await unlock.open(common, transfer)
        let (summary, part) = try await ProgressDisplay.during(common) { progress in
            let summary = try await backup.verify(deep: deep, progress: progress)
            guard let sample else { return (summary, nil as SampleSummary?) }
            let ledger = unlock.from == nil ? common.device.ledger : nil
            return (summary, try await backup.readSample(percent: sample.value, ledger: ledger, progress: progress))
        }
        if common.json {
            try Output.json(Report(summary: summary, sample: part))
        } else {
            describe(summary)
            if let part { describe(part) }
        }
        guard summary.findings.isEmpty, part?.damaged.isEmpty ?? true else {
            throw ExitCode(CofferError.Code.damageFound.exitStatus)
        }
    }

    /// What was found, and with `--sample` what was read.
    private struct Report: Encodable {
        let summary: VerifySummary
        let sample: SampleSummary?

        private enum Keys: String, CodingKey { case sample }

        func encode(to encoder: any Encoder) throws {
            try summary.encode(to: encoder)
            var container = encoder.container(keyedBy: Keys.self)
            try container.encodeIfPresent(sample, forKey: .sample)
        }
    }

    private func describe(_ part: SampleSummary) {
        let share = part.bytes == 0 ? 100 : Double(part.bytesRead) * 100 / Double(part.bytes)
        let today = share >= 10 ? "\(Int(share.rounded()))" : String(format: "%.1f", share)
        let found = part.damaged.isEmpty ? "all sound" : "\(Words.count(part.damaged.count, "pack")) damaged"
        Output.line(
            "\(part.coveredPercent) % of the packs were read in the last \(part.coveredDays) days; "
                + "\(today) % now (\(Words.bytes(part.bytesRead))), \(found).")
        for name in part.damaged { Output.line("  \(name): damaged.") }
        if !part.damaged.isEmpty {
            Output.line("coffer repair says which files it costs, and mends what can be mended.")
        }
    }

    private func describe(_ summary: VerifySummary) {
        let looked =
            summary.deep
            ? "every byte of \(Words.count(summary.files, "file")) was read (\(Words.bytes(summary.contentBytesRead)) of content)"
            : "everything that \(Words.count(summary.files, "file")) need is there"
        if summary.findings.isEmpty {
            let left = summary.notDecoded.count
            let sound = left == 0 ? "all sound" : "no damage found, but \(Words.count(left, "database")) not decoded"
            Output.line("\(Words.count(summary.snapshots, "snapshot")), \(sound); \(looked).")
        } else {
            Output.line("Damage was found; \(Words.count(summary.findings.count, "finding")):")
            for finding in summary.findings { Output.line("  \(Output.printable(name: finding))") }
        }
        summary.notes.forEach { Output.note(Output.printable($0)) }
    }
}

struct Snapshots: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the snapshots.")

    @OptionGroup var unlock: UnlockOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let backup = try await unlock.open(common)
        let (readable, damaged) = try await backup.snapshots()
        let notes = try await backup.headNotes()
        if common.json {
            struct Report: Encodable {
                let snapshots: [SnapshotSummary]
                let damaged: [String]
                let notes: [String]
            }
            try Output.json(Report(snapshots: readable, damaged: damaged, notes: notes))
        } else {
            for snapshot in readable {
                Output.line(
                    "\(snapshot.number)  \(Words.time(snapshot.began))  \(Words.count(snapshot.files, "file")), "
                        + "\(Words.bytes(snapshot.contentBytes))  \(snapshot.source)"
                        + (snapshot.leftOut.isEmpty ? "" : "  without \(Words.list(snapshot.leftOut))"))
            }
            if readable.isEmpty { Output.line("There is no backup yet.") }
            notes.forEach { Output.note(Output.printable($0)) }
            for name in damaged { Output.note("\(name) cannot be read: it is damaged.") }
        }
        guard damaged.isEmpty else { throw ExitCode(CofferError.Code.damageFound.exitStatus) }
    }
}

struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List what a folder of a snapshot holds.")

    @Argument(help: "The folder or file, from the top of the backup.") var path = ""
    @Option(help: ArgumentHelp("Which snapshot; without it the newest.", valueName: "number")) var snapshot: Int?
    @OptionGroup var unlock: UnlockOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let entries = try await unlock.open(common).list(path, of: snapshot.map { .number($0) } ?? .newest)
        if common.json { return try Output.json(entries) }
        for entry in entries {
            let size = entry.kind == .directory ? "" : Words.bytes(entry.contentBytes)
            let mark =
                switch entry.kind {
                case .directory: "/"
                case .symbolicLink: "@"
                case .database: "  (database)"
                case .file: ""
                }
            Output.line("\(pad(size, to: 10))  \(Output.printable(name: entry.name))\(mark)")
        }
    }

    private func pad(_ text: String, to width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }
}

struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what is backed up, where, when, and how it is protected.")

    @OptionGroup var common: CommonOptions

    func run() async throws {
        let status = try await common.device.status()
        if common.json { return try Output.json(status) }
        Output.line(
            status.isImportedAlone
                ? "What is imported from WhatsApp's own backups goes to \(status.store)"
                : "\(status.source) is backed up to \(status.store)")
        if let newest = status.newest {
            Output.line(
                "Last backup: \(Words.time(newest.ended)), \(Words.count(newest.files, "file")), "
                    + "\(Words.bytes(newest.contentBytes)); \(Words.count(status.snapshotCount, "snapshot")) kept")
        } else {
            Output.line("Last backup: none yet. Run coffer backup.")
        }
        if let imported = status.newestImport {
            Output.line(
                "Last import: \(Words.time(imported.ended)), \(Words.count(imported.files, "file")), "
                    + "\(Words.bytes(imported.contentBytes)); it is snapshot \(imported.number)")
        }
        if !status.leftOut.isEmpty {
            Output.line("Left out: \(Words.list(status.leftOut)). coffer include shows what that is.")
        }
        let names = status.protections.map { $0 == .password ? "password" : "64-digit key" }
        Output.line("Protected by: \(names.joined(separator: ", "))")
        Output.line("This device keeps the key in: \(status.keyStorage)")
        if let vaults = status.vaults { describe(vaults) }
    }
}

extension Status {
    private func describe(_ vaults: DeviceStatus.Vaults) {
        let attempts = vaults.attemptsLeft.map { "\(Words.count($0, "attempt")) left" } ?? "attempts left unknown"
        let up = vaults.up.map { "\($0) of \(vaults.fleet.vaults) up" } ?? "\(vaults.fleet.vaults), not asked"
        Output.line("Vaults: \(up), \(vaults.fleet.threshold) needed; \(attempts)")
        Output.line("Fleet: \(vaults.fleet.fingerprint)")
        for problem in vaults.problems { Output.line("  \(Output.printable(problem))") }
        for failed in vaults.failedAttempts { Output.line(Attempts.words(failed)) }
        if !vaults.failedAttempts.isEmpty {
            Output.line("If you did not make them, choose a new password; if you did: coffer attempts --forgive")
        }
        vaults.notices.forEach(Output.line)
        if let note = vaults.lastBackup?.note { Output.line(note) }
        if vaults.sharesUndelivered { Output.line("Some vaults lack their share; the next backup delivers it.") }
    }
}

struct Disable: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Turn backup off on this device.",
        discussion: """
            The shares of the key at the vaults are erased, and the key and the settings on this device are deleted. The \
            encrypted backup stays in the store unless --delete-store is given; only the 64-digit key (coffer key show, \
            before this) still opens it then.
            """)

    @Flag(help: "Also delete the backup itself. This cannot be undone.") var deleteStore = false
    @Flag(help: "Go on even if vaults keep their shares of the key, which then nobody can erase.")
    var leaveShares = false
    @Flag(help: "Do not ask.") var yes = false
    @Option(help: ArgumentHelp("A newer sign-in than the one that backup was enabled with.", valueName: "file"))
    var tokenFile: String?
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let enabled = try common.device.enabledBackup()
        let plan = plan(enabled)
        if !yes { try confirm(plan, enabled) }
        let notes = try await common.device.disable(
            deleteStore: deleteStore, signIn: tokenFile.map { .file(SignInOptions.absolutePath($0)) },
            leavingShares: leaveShares)
        if common.json {
            struct Report: Encodable {
                let deleted: [String]
                let notes: [String]
            }
            return try Output.json(Report(deleted: plan, notes: notes))
        }
        Output.line("Deleted: \(plan.joined(separator: "; ")).")
        notes.forEach { Output.line(Output.printable($0)) }
        if !deleteStore {
            Output.line("The encrypted backup in \(enabled.store) is still there. Only the 64-digit key opens it.")
        }
    }

    /// What goes, and where it is.
    private func plan(_ enabled: EnabledBackup) -> [String] {
        var plan = ["the key and the settings on this device, in \(common.device.stateFolder)"]
        if enabled.protections.contains(.password) { plan.append("the shares of the key at the vaults") }
        if deleteStore { plan.append("the encrypted backup in \(enabled.store), with all snapshots") }
        return plan
    }

    private func confirm(_ plan: [String], _ enabled: EnabledBackup) throws {
        let rest =
            deleteStore
            ? "This cannot be undone."
            : "The encrypted backup in \(enabled.store) stays. Without the 64-digit key nobody can open it then."
        let answer = try SecretInput.askVisibly(
            "This deletes \(plan.joined(separator: "; ")).\n\(rest)\nType yes to go on: ", insteadUse: "--yes")
        guard answer == "yes" else {
            throw CofferError(.notConfirmed, "Nothing was deleted.", advice: "Backup goes on as before.")
        }
    }
}
