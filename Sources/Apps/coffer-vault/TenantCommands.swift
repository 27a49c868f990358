import ArgumentParser
import ByteCoding
import RecoveryProtocol
import VaultCore
import VaultServer

struct TenantCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tenant", abstract: "The apps whose people this vault serves.",
        subcommands: [Add.self, Keys.self, List.self, Remove.self])

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Adds a tenant, or changes what is named here. A vault that serves takes it up by itself.",
            discussion: "What is not named stays as it is; for a new tenant it is the default.")

        @Argument(help: "The tenant's name: the `iss` of its tokens.")
        var name: String

        @Option(help: "The vault's folder.")
        var dir = "."

        @Option(help: "The tenant's verification keys: a JWK set, public keys only. A new tenant needs it.")
        var jwks: String?

        @Option(help: "Attempts per registration at this vault. 0, and the default: what the fleet file promises.")
        var budget: UInt8?

        @Option(
            help: ArgumentHelp(
                "Seconds to wait before the attempt with 1 left, 2 left, 3 left …, separated by commas.",
                discussion: "The default is 86400,14400,900.", valueName: "seconds"))
        var waits: String?

        @Flag(help: "No waits between attempts. For demonstrations and tests.")
        var noWaits = false

        @Option(help: "Hours of serving between the last attempt and destruction. Default: 72.")
        var graceHours: UInt32?

        @Option(help: "Hours after which a prepared registration that nobody activated is erased. Default: 24.")
        var pendingHours: UInt32?

        @Option(help: "The least Argon2id memory, in MiB, that a registration may use. Default: 19.")
        var memoryMib: UInt32?

        @Option(
            help: "Charged attempts and destructions in an hour above which new attempts are suspended. Default: 1000.")
        var chargesPerHour: UInt32?

        @Option(help: "Destructions in an hour above which new attempts are suspended. Default: 100.")
        var destructionsPerHour: UInt32?

        @Option(
            help: ArgumentHelp(
                "Days of serving between a request to replace or delete a registration without its key and the change. Default: 14."
            )
        )
        var replacementDays: UInt32?

        @Flag(help: "Nobody replaces or deletes a registration without its key, ever.")
        var noReplacement = false

        @Option(help: "Requests in a minute that one account may make. Default: 300.")
        var requestsPerMinute: UInt32?

        func validate() throws {
            guard TenantRecord.nameBytes.contains(name.utf8.count), name.utf8.allSatisfy({ (0x21...0x7e).contains($0) })
            else { throw ValidationError("A tenant's name has 1 to 64 ASCII characters and no spaces.") }
            guard (0...64).contains(budget ?? 0) else {
                throw ValidationError("--budget is 1 to 64, or 0 for what the fleet promises.")
            }
            guard !(noWaits && waits != nil) else {
                throw ValidationError("--waits and --no-waits exclude each other.")
            }
            guard (1...3650).contains(replacementDays ?? 14) else {
                throw ValidationError("--replacement-days is 1 to 3650.")
            }
            guard graceHours ?? 0 <= 8760, pendingHours ?? 0 <= 8760, memoryMib ?? 0 <= 4096 else {
                throw ValidationError("Grace and pending hours are at most 8760, memory at most 4096 MiB.")
            }
        }

        func run() async throws {
            var keySet: [UInt8]?
            if let jwks {
                let given = try PublicFile.read(jwks, bytesMax: TenantRecord.keySetBytes.upperBound)
                _ = try await TenantCommands.keys(in: given, of: jwks)
                keySet = given
            }
            let administration = VaultAdministration(records: try VaultFolder(path: dir).open())
            let tenant = try await TenantCommands.change(name, by: administration) { known in
                guard let keySet = keySet ?? known?.keySet else {
                    throw ValidationError("A new tenant needs --jwks: there is no tenant \"\(name)\" yet.")
                }
                return TenantRecord(
                    name: name, keySet: keySet, policy: try policy(from: known?.policy ?? TenantPolicy()))
            }
            let fleet: Fleet?
            do throws(LedgerError) { fleet = try administration.configuration().fleet } catch {
                throw CommandFailure(error)
            }
            Output.line("The vault serves the tenant \"\(name)\".")
            warn(tenant.policy, fleet)
        }

        private func warn(_ policy: TenantPolicy, _ fleet: Fleet?) {
            if policy.waitsSeconds.isEmpty {
                Output.line("Its attempts have no waits: a guesser is through with them in seconds.")
            }
            if let budget = policy.budget, let fleet, Int(budget) > fleet.attemptsPerVault {
                Output.error(
                    "coffer-vault: warning: \(budget) attempts are more than the \(fleet.attemptsPerVault) that the fleet "
                        + "file promises for each vault: a stranger has more guesses than people are told.")
            }
        }

        private func policy(from present: TenantPolicy) throws -> TenantPolicy {
            var policy = present
            if let budget { policy.budget = budget == 0 ? nil : budget }
            if noWaits { policy.waitsSeconds = [] }
            if let waits {
                // An empty field is a slip of the pen, and would move every wait after it to another attempt.
                let seconds = waits.split(separator: ",", omittingEmptySubsequences: false).map { UInt32($0) }
                guard seconds.count <= TenantPolicy.waitCountMax, seconds.allSatisfy({ $0 != nil }) else {
                    throw ValidationError("--waits needs numbers of seconds, separated by commas.")
                }
                policy.waitsSeconds = seconds.compactMap { $0 }
            }
            if let graceHours { policy.graceSeconds = graceHours * 3600 }
            if let pendingHours { policy.pendingSeconds = pendingHours * 3600 }
            if let memoryMib { policy.memoryKiBMin = memoryMib * 1024 }
            if let chargesPerHour { policy.chargesPerHourMax = chargesPerHour }
            if let destructionsPerHour { policy.destructionsPerHourMax = destructionsPerHour }
            if let replacementDays { policy.replacementDelaySeconds = replacementDays * 24 * 3600 }
            if noReplacement { policy.replacementDelaySeconds = nil }
            if let requestsPerMinute { policy.requestsPerMinuteMax = requestsPerMinute }
            return policy
        }
    }

    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Stops serving a tenant. Its people's shares stay, for when it is added again.")

        @Argument(help: "The tenant's name.")
        var name: String

        @Option(help: "The vault's folder.")
        var dir = "."

        func run() throws {
            let administration = VaultAdministration(records: try VaultFolder(path: dir).open())
            let wasThere: Bool
            do throws(LedgerError) { wasThere = try administration.removeTenant(name) } catch {
                throw CommandFailure(error)
            }
            guard wasThere else { throw CommandFailure(.notSetUp, "This vault serves no tenant of that name.") }
            Output.line("The vault no longer serves the tenant \"\(name)\". Its people's shares stay.")
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists the tenants and what they allow.")

        @Option(help: "The vault's folder.")
        var dir = "."

        func run() throws {
            let records = try VaultFolder(path: dir).open()
            let tenants: [TenantRecord]
            do throws(LedgerError) { tenants = try VaultAdministration(records: records).tenants() } catch {
                throw CommandFailure(error)
            }
            if tenants.isEmpty { Output.line("No tenants yet: `coffer-vault tenant add NAME --jwks FILE`.") }
            for tenant in tenants {
                let policy = tenant.policy
                let budget = policy.budget.map { "\($0) attempts" } ?? "attempts as the fleet promises"
                let waits = policy.waitsSeconds.isEmpty ? "no waits" : "waits \(policy.waitsSeconds) s"
                let replacement = policy.replacementDelaySeconds.map { "after \($0 / 86_400) d" } ?? "never"
                Output.line("\(tenant.name)  \(budget), \(waits), grace \(policy.graceSeconds / 3600) h")
                Output.line(
                    "  Argon2id at least \(policy.memoryKiBMin / 1024) MiB, replacement without the key \(replacement), "
                        + "\(policy.requestsPerMinuteMax) requests a minute and account")
                Output.line(
                    "  suspended above \(policy.chargesPerHourMax) failed attempts or "
                        + "\(policy.destructionsPerHourMax) destructions an hour")
            }
        }
    }
}

extension TenantCommands {
    private static let changesMax = 64

    /// Works out what becomes of a tenant (nil: there is none) until nobody else has changed it meanwhile, so that of two
    /// operators at once neither loses his change. Writes nothing if it stays as it is, and so `edit` may see its own work.
    static func change(
        _ name: String, by administration: VaultAdministration, _ edit: (TenantRecord?) async throws -> TenantRecord
    ) async throws -> TenantRecord {
        var unknown: LedgerError?
        for _ in 0..<changesMax {
            let known: TenantRecord?
            do throws(LedgerError) { known = try administration.tenant(name) } catch {
                throw CommandFailure(unknown ?? error)
            }
            let tenant = try await edit(known)
            guard tenant != known else { return tenant }
            do throws(LedgerError) {
                if try administration.replaceTenant(known, by: tenant) { return tenant }
            } catch .unknownOutcome(let text) {
                // Others went on before this process saw the end of it: it looks again.
                unknown = .unknownOutcome(text)
            } catch { throw CommandFailure(error) }
        }
        throw CommandFailure(unknown ?? .conflict)
    }

    /// Reads a key set, or says why it is none.
    static func keys(in bytes: [UInt8], of file: String) async throws(CommandFailure) -> TenantKeys {
        do throws(TenantKeys.Failure) { return try await TenantKeys(json: bytes) } catch {
            throw CommandFailure(.badFile, "\(file): \(error.text) Nothing was changed.")
        }
    }
}

extension TenantKeys.Failure {
    fileprivate var text: String {
        switch self {
        case .notAKeySet: "this is not a JWK set."
        case .noKeys: "the set holds no key."
        case .keyID: "every key needs a `kid` of its own."
        case .algorithm(let id):
            "key \(id.printable) needs an `alg` that is one of EdDSA, ES256, ES384, RS256, PS256, and to fit."
        case .privateKey(let id):
            "key \(id.printable) is a private key. Give the public ones alone, and replace this one."
        case .rsaSize(let id):
            "key \(id.printable) is an RSA key that is not of 2048 to 4096 bits with a usual exponent (65537)."
        case .notForSignatures(let id): "key \(id.printable) is not for signatures, as its `use` or `key_ops` says."
        }
    }
}
