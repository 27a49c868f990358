import ArgumentParser
import VaultCore
import VaultServer

struct TenantCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tenant", abstract: "The apps whose people this vault serves.",
        subcommands: [Add.self, List.self])

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Adds a tenant, or replaces its keys and policy. A vault that serves takes it up by itself.")

        @Argument(help: "The tenant's name: the `iss` of its tokens.")
        var name: String

        @Option(help: "The vault's folder.")
        var dir = "."

        @Option(help: "The tenant's verification keys: a JWK set, public keys only.")
        var jwks: String

        @Option(help: "Attempts per registration at this vault. Without it: what the fleet file promises.")
        var budget: UInt8?

        @Option(
            help: ArgumentHelp(
                "Seconds to wait before the attempt with 1 left, 2 left, 3 left …, separated by commas.",
                discussion: "The default is 86400,14400,900.", valueName: "seconds"))
        var waits: String?

        @Flag(help: "No waits between attempts. For demonstrations and tests.")
        var noWaits = false

        @Option(help: "Hours of serving between the last attempt and destruction.")
        var graceHours: UInt32 = 72

        @Option(help: "Hours after which a prepared registration that nobody activated is erased.")
        var pendingHours: UInt32 = 24

        @Option(help: "The least Argon2id memory, in MiB, that a registration may use.")
        var memoryMib: UInt32 = 19

        @Option(help: "Charged attempts and destructions in an hour above which new attempts are suspended.")
        var chargesPerHour: UInt32 = 1000

        @Option(help: "Destructions in an hour above which new attempts are suspended.")
        var destructionsPerHour: UInt32 = 100

        @Option(
            help: ArgumentHelp(
                "Days of serving between a request to replace or delete a registration without its key and the change.")
        )
        var replacementDays: UInt32 = 14

        @Flag(help: "Nobody replaces or deletes a registration without its key, ever.")
        var noReplacement = false

        @Option(help: "Requests in a minute that one account may make.")
        var requestsPerMinute: UInt32 = 300

        func validate() throws {
            guard TenantRecord.nameBytes.contains(name.utf8.count), name.utf8.allSatisfy({ (0x21...0x7e).contains($0) })
            else { throw ValidationError("A tenant's name has 1 to 64 ASCII characters and no spaces.") }
            guard budget.map({ (1...64).contains($0) }) ?? true else {
                throw ValidationError("--budget is 1 to 64.")
            }
            guard !(noWaits && waits != nil) else {
                throw ValidationError("--waits and --no-waits exclude each other.")
            }
            guard (1...3650).contains(replacementDays) else {
                throw ValidationError("--replacement-days is 1 to 3650.")
            }
            guard graceHours <= 8760, pendingHours <= 8760, memoryMib <= 4096 else {
                throw ValidationError("Grace and pending hours are at most 8760, memory at most 4096 MiB.")
            }
        }

        func run() async throws {
            let keySet = try PublicFile.read(jwks, bytesMax: TenantRecord.keySetBytes.upperBound)
            do throws(TenantKeys.Failure) { _ = try await TenantKeys(json: keySet) } catch {
                throw CommandFailure(.badFile, "\(jwks): \(error.text)")
            }
            let tenant = TenantRecord(name: name, keySet: keySet, policy: try policy())
            let records = try VaultFolder(path: dir).open()
            do throws(LedgerError) { try VaultAdministration(records: records).setTenant(tenant) } catch {
                throw CommandFailure(error)
            }
            Output.line("The vault serves the tenant \"\(name)\".")
            if tenant.policy.waitsSeconds.isEmpty {
                Output.line("Its attempts have no waits: a guesser is through with them in seconds.")
            }
        }

        private func policy() throws -> TenantPolicy {
            var policy = TenantPolicy()
            policy.budget = budget
            if noWaits { policy.waitsSeconds = [] }
            if let waits {
                let seconds = waits.split(separator: ",").map { UInt32($0) }
                guard seconds.count <= TenantPolicy.waitCountMax, seconds.allSatisfy({ $0 != nil }) else {
                    throw ValidationError("--waits needs numbers of seconds, separated by commas.")
                }
                policy.waitsSeconds = seconds.compactMap { $0 }
            }
            policy.graceSeconds = graceHours * 3600
            policy.pendingSeconds = pendingHours * 3600
            policy.memoryKiBMin = memoryMib * 1024
            policy.chargesPerHourMax = chargesPerHour
            policy.destructionsPerHourMax = destructionsPerHour
            policy.replacementDelaySeconds = noReplacement ? nil : replacementDays * 24 * 3600
            policy.requestsPerMinuteMax = requestsPerMinute
            return policy
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

extension TenantKeys.Failure {
    fileprivate var text: String {
        switch self {
        case .notAKeySet: "this is not a JWK set."
        case .noKeys: "the set holds no key."
        case .keyID: "every key needs a `kid` of its own."
        case .algorithm(let id):
            "key \(id) needs an `alg` that is one of EdDSA, ES256, ES384, RS256, PS256, and to fit."
        case .privateKey(let id): "key \(id) is a private key. Give the public ones alone, and replace this one."
        }
    }
}
