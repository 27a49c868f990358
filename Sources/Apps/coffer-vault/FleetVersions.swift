import ArgumentParser
import ByteCoding
import FleetFiles
import Primitives
import RecoveryProtocol
import VaultCore
import VaultServer

extension FleetCommands {
    struct Next: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints the next version of a fleet file, with vaults added or retired.",
            discussion: "It says nothing until enough vaults of the present version have signed it: `fleet sign`.")

        @Argument(help: "The present fleet file.")
        var file: String

        @Option(help: "The `vault.pub` of a vault that joins. May be given several times.")
        var add: [String] = []

        @Option(help: "The index of a vault that leaves. May be given several times.")
        var retire: [UInt8] = []

        @Option(help: "The attempts that the fleet promises a person in all. Without it: as before.")
        var attempts: UInt8?

        func run() throws {
            let fleet = try FleetCommands.read(file).fleet
            var added: [(key: VerifyingKey, urls: [String])] = []
            for path in add {
                let vault = try VaultPublicFile(path: path)
                added.append((vault.identity, vault.urls))
            }
            do throws(FleetError) {
                try FleetCommands.printFile(
                    FleetFile(fleet: try fleet.next(adding: added, retiring: retire, promisedTotal: attempts)))
            } catch { throw CommandFailure(.badFile, "This is not a fleet: \(error.reason).") }
        }
    }

    struct Sign: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints this vault's signature of its fleet's next version, to be added to the end of that file.",
            discussion: """
                Look at the new version first, with `fleet show`: enough signatures make it everybody's fleet. Only vaults \
                of the version that this vault has can sign.
                """)

        @Argument(help: "The vault's folder.")
        var folder: String

        @Argument(help: "The fleet file of the next version.")
        var file: String

        func run() throws {
            let next = try FleetCommands.read(file).fleet
            let administration = VaultAdministration(records: try VaultFolder(path: folder).open())
            let identity: SigningKey
            let present: Fleet?
            do throws(LedgerError) {
                identity = try administration.identity()
                present = try administration.configuration().fleet
            } catch { throw CommandFailure(error) }
            guard let present else { throw CommandFailure(VaultStartError.noFleet) }
            guard let vault = present.currentVaults.first(where: { $0.identityKey == identity.verifyingKey }) else {
                throw CommandFailure(.notSetUp, "This vault has left its fleet: its signature would not count.")
            }
            do throws(FleetUpdateError) { try present.checkSuccessor(next) } catch {
                throw CommandFailure(.notSetUp, "\(FleetCommands.words(error)) Nothing was signed.")
            }
            guard let signed = try? SignedBytes.fleet(next) else {
                throw CommandFailure(.badFile, "\(file) is too large for a fleet. Nothing was signed.")
            }
            Output.line("")
            Output.line("[[signature]]")
            Output.line("vault = \(vault.index)")
            Output.line("value = \"\(identity.sign(signed).hex)\"")
        }
    }
}
