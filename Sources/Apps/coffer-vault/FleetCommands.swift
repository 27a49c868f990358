import ArgumentParser
import ByteCoding
import FleetFiles
import Primitives
import RecoveryProtocol
import VaultCore
import VaultServer

struct FleetCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fleet", abstract: "The fleet file: which vaults belong together.",
        subcommands: [New.self, Show.self, URLs.self, Set.self, Next.self, Sign.self])

    struct New: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes a fleet of the vaults with these public files, and prints its fleet file.")

        @Argument(help: "The vaults' `vault.pub` files: 1, 3, 5 … 15 of them.")
        var vaults: [String]

        @Option(help: "A vault's URL, once for each vault in their order; instead of those in the public files.")
        var url: [String] = []

        @Option(help: "The attempts that the fleet promises a person in all.")
        var attempts: UInt8 = 10

        func run() throws {
            let files = try vaults.map { path in try VaultPublicFile(path: path) }
            guard url.isEmpty || url.count == files.count else {
                throw ValidationError("--url is needed once for each vault, or not at all.")
            }
            var listed: [Fleet.Vault] = []
            for (position, file) in files.enumerated() {
                let urls = url.isEmpty ? file.urls : [url[position]]
                guard !urls.isEmpty else {
                    throw CommandFailure(.notSetUp, "No URL for \"\(file.name)\": give --url for each vault.")
                }
                listed.append(
                    Fleet.Vault(index: UInt8(clamping: position + 1), identityKey: file.identity, urls: urls))
            }
            var generator = SystemRandomNumberGenerator()
            let generation = Fleet.Generation(
                version: 1, threshold: UInt8(clamping: (files.count + 1) / 2), indices: listed.map(\.index))
            do throws(FleetError) {
                let fleet = try Fleet(
                    id: .random(using: &generator), promisedTotal: attempts, vaults: listed,
                    generations: [generation])
                try FleetCommands.printFile(FleetFile(fleet: fleet))
            } catch { throw CommandFailure(.badFile, "This is not a fleet: \(error.reason).") }
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Says what a fleet file means.")

        @Argument(help: "The fleet file.")
        var file: String

        func run() throws {
            let fleet = try FleetCommands.read(file).fleet
            Output.line("fingerprint  \((try? fleet.fingerprint()) ?? "")")
            Output.line("fleet        \(fleet.id), version \(fleet.version)")
            Output.line("recovery     any \(fleet.threshold) of \(fleet.currentVaults.count) vaults")
            Output.line("attempts     \(fleet.promisedTotal) in all, \(fleet.attemptsPerVault) at each vault")
            for corrupt in 0..<fleet.threshold {
                guard let guesses = fleet.guessesMax(corrupt: corrupt) else { continue }
                Output.line("             at most \(guesses) guesses with \(corrupt) vaults that do not count")
            }
            for vault in fleet.vaults {
                let note = fleet.isRetired(vault) ? " (retired)" : ""
                Output.line("vault \(vault.index)\(note)  \(vault.id)  \(vault.urls.joined(separator: " "))")
            }
        }
    }

    struct URLs: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "urls", abstract: "Prints the fleet file with other URLs. The fleet stays the same one.")

        @Argument(help: "The fleet file.")
        var file: String

        @Option(help: "A vault's URL, once for each vault in their order.")
        var url: [String]

        func run() throws {
            let fleet = try FleetCommands.read(file).fleet
            guard url.count == fleet.vaults.count else {
                throw ValidationError("--url is needed once for each of the \(fleet.vaults.count) vaults.")
            }
            let vaults = zip(fleet.vaults, url).map { vault, url in
                Fleet.Vault(index: vault.index, identityKey: vault.identityKey, urls: [url])
            }
            do throws(FleetError) {
                let changed = try Fleet(
                    id: fleet.id, promisedTotal: fleet.promisedTotal, vaults: vaults, generations: fleet.generations)
                try FleetCommands.printFile(FleetFile(fleet: changed))
            } catch { throw CommandFailure(.badFile, "This is not a fleet: \(error.reason).") }
        }
    }

    struct Set: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Tells a vault which fleet it belongs to. A vault takes shares for this fleet alone.")

        @Argument(help: "The vault's folder.")
        var folder: String

        @Argument(help: "The fleet file.")
        var file: String

        func run() throws {
            let fleet = try FleetCommands.read(file)
            try FleetCommands.set(fleet, in: try VaultFolder(path: folder).open())
            Output.line("The vault belongs to the fleet \((try? fleet.fleet.fingerprint()) ?? "").")
        }
    }

    static func read(_ path: String) throws(CommandFailure) -> FleetFile {
        let text = try PublicFile.text(path)
        do throws(FleetFileError) { return try FleetFile(text: text) } catch {
            throw CommandFailure(.badFile, "\(path): \(error.description).")
        }
    }

    /// A vault never changes to another fleet, back to an earlier version, or to one that its fellows did not sign: its
    /// operator would have been deceived.
    static func set(_ file: FleetFile, in records: SealedRecords) throws(CommandFailure) {
        let administration = VaultAdministration(records: records)
        let identity: VerifyingKey
        do throws(LedgerError) { identity = try administration.identity().verifyingKey } catch {
            throw CommandFailure(error)
        }
        guard file.fleet.vault(id: VaultID(identityKey: identity)) != nil else {
            throw CommandFailure(.notSetUp, "The fleet file does not list this vault. Nothing was changed.")
        }
        do throws(FleetSettingError) {
            try administration.setFleet(file.fleet, signatures: file.signatures)
        } catch {
            switch error {
            case .alteredVersion:
                throw CommandFailure(
                    .notSetUp,
                    "The vault has version \(file.fleet.version) of this fleet with other contents; only URLs may change "
                        + "within a version. Nothing was changed.")
            case .update(let error):
                throw CommandFailure(.notSetUp, "\(FleetCommands.words(error)) Nothing was changed.")
            case .ledger(let error): throw CommandFailure(error)
            }
        }
    }

    static func words(_ error: FleetUpdateError) -> String {
        switch error {
        case .anotherFleet: "The vault already belongs to another fleet."
        case .notNewer: "The vault already belongs to a later version of this fleet."
        case .rewritesHistory: "The file drops or alters vaults or versions that this fleet had."
        case .tooFewSignatures(let valid):
            "Too few vaults of the version before signed this one: \(valid). Each of them signs with "
                + "`coffer-vault fleet sign`."
        }
    }

    static func printFile(_ file: FleetFile) throws(FleetError) {
        guard let text = try? file.text() else { throw .tooLarge }
        Output.line(text.hasSuffix("\n") ? String(text.dropLast()) : text)
    }
}
