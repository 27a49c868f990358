import ArgumentParser
import FleetFiles
import Foundation
import Primitives
import RecoveryProtocol
import SecurityModules
import VaultCore
import VaultServer

struct IssuerCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "issuer", abstract: "Sign-in tokens for those who host for themselves, without an app's server.",
        subcommands: [New.self, Token.self])

    static let keyName = "issuer.key"
    static let keySetName = "issuer.jwks.json"

    struct New: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes an issuer key, and the key set to register at every vault of a fleet.")

        @Argument(help: "The folder for \(keyName) and \(keySetName).")
        var folder: String

        func run() throws {
            let folder = URL(filePath: folder)
            do { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) } catch {
                throw CommandFailure(.cannotCreate, "The folder \(folder.path) cannot be made.")
            }
            var generator = SystemRandomNumberGenerator()
            let issuer = TokenIssuer.random(using: &generator)
            let key = folder.appending(path: keyName).path
            try keepPrivate(issuer.privateKeyFile, key)
            let keySet = folder.appending(path: keySetName).path
            try PublicFile.write(String(decoding: issuer.keySet, as: UTF8.self) + "\n", to: keySet)
            Output.line("Made \(key): whoever has it can sign in as anybody of its tenant. It goes to no vault.")
            Output.line("At every vault: coffer-vault tenant add NAME --dir DIR --jwks \(keySet)")
        }
    }

    struct Token: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes one account's tokens, one for each vault, as a JSON object: vault id to token.",
            discussion: "The tokens are secrets for as long as they last. `coffer --token-command` takes this output.")

        @Argument(help: "The account: a stable name that never goes to another person.")
        var account: String

        @Option(help: "The tenant's name, as registered at the vaults.")
        var tenant: String

        @Option(help: "The fleet file.")
        var fleet: String

        @Option(help: "The issuer's key, or the folder with it.")
        var issuer = "."

        @Option(help: "Hours until the tokens expire, at most 24.")
        var hours: UInt64 = 24

        @Option(name: [.short, .long], help: "Write to this new file, which only you can read, and print nothing.")
        var output: String?

        func validate() throws {
            guard (1...24).contains(hours) else { throw ValidationError("--hours is 1 to 24.") }
            guard Limits.tenantBytes.contains(tenant.utf8.count), Limits.accountBytes.contains(account.utf8.count)
            else { throw ValidationError("A tenant has 1 to 64 bytes, an account 1 to 128.") }
        }

        func run() throws {
            let issuer = try readIssuer()
            let now = SystemClock.now().wallSeconds
            let vaults = try FleetCommands.read(fleet).fleet.currentVaults
            let lines = vaults.map { vault in
                let token = issuer.token(
                    tenant: tenant, account: account, vaultID: vault.id, issuedSeconds: now,
                    lifetimeSeconds: hours * 3600)
                return "  \"\(vault.id)\": \"\(token)\""
            }
            let text = "{\n\(lines.joined(separator: ",\n"))\n}"
            if let output {
                try keepPrivate(SecretBytes(copying: Array("\(text)\n".utf8)), output)
            } else {
                Output.line(text)
            }
        }

        private func readIssuer() throws(CommandFailure) -> TokenIssuer {
            var isFolder: ObjCBool = false
            let exists = FileManager.default.fileExists(atPath: issuer, isDirectory: &isFolder)
            let path = exists && isFolder.boolValue ? URL(filePath: issuer).appending(path: keyName).path : issuer
            var bytes: [UInt8]
            do throws(PrivateFile.Failure) { bytes = try PrivateFile.read(path, bytesMax: 4096) } catch {
                throw CommandFailure(error)
            }
            defer { bytes.wipe() }
            do { return try TokenIssuer(privateKeyFile: bytes) } catch {
                throw CommandFailure(.badFile, "\(path) is not an issuer's key.")
            }
        }
    }

    private static func keepPrivate(_ secret: SecretBytes, _ path: String) throws(CommandFailure) {
        do throws(PrivateFile.Failure) {
            try secret.withBytes { bytes throws(PrivateFile.Failure) in try PrivateFile.create(path, bytes) }
        } catch { throw CommandFailure(error) }
    }
}

extension CommandFailure {
    init(_ failure: PrivateFile.Failure) {
        switch failure {
        case .system(let text): self.init(.fileAccess, text)
        case .notPrivate(let path):
            self.init(
                .notPrivate, "\(path) is open to others. If nobody has read it: chmod 600. Otherwise make a new one.")
        case .notPlain(let path): self.init(.badFile, "\(path) is not a plain file of the expected size.")
        case .exists(let path): self.init(.cannotCreate, "\(path) exists already. Nothing was changed.")
        }
    }
}
