import ArgumentParser
import ByteCoding
import Foundation
import VaultCore
import VaultServer

extension TenantCommands {
    /// A tenant's keys, one after another, so that no sign-in is refused while they change.
    struct Keys: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Lists, adds and withdraws a tenant's verification keys. A vault that serves takes it up by itself.",
            discussion: """
                To change a key: add the new one at every vault, wait ten seconds, let the app's server sign with it, \
                wait until the last token of the old one has expired (a day at most), and withdraw that one. A key that \
                was stolen is withdrawn at once: the vault refuses it within five seconds.
                """)

        @Argument(help: "The tenant's name.")
        var name: String

        @Option(help: "The vault's folder.")
        var dir = "."

        @Option(help: "Adds the public keys of this JWK set. A `kid` that is there already must be the same key.")
        var add: String?

        @Option(help: "Withdraws the key of this id: its tokens are refused from now on. May be given several times.")
        var withdraw: [String] = []

        func run() async throws {
            // Once: it may be a pipe, and the tenant may have to be looked at again.
            var given: [[String: Any]] = []
            if let add { given = try await Self.given(add) }
            var seen: Set<String> = []
            let administration = VaultAdministration(records: try VaultFolder(path: dir).open())
            let tenant = try await TenantCommands.change(name, by: administration) { known in
                guard let known else { throw CommandFailure(.notSetUp, "This vault serves no tenant of that name.") }
                guard add != nil || !withdraw.isEmpty else { return known }
                seen.formUnion(try Self.keys(known.keySet).compactMap(Self.id))
                for id in withdraw where !seen.contains(id) {
                    throw CommandFailure(.notSetUp, "The tenant has no key \(id.printable). Nothing was changed.")
                }
                let keySet = try await changed(known, given)
                return TenantRecord(name: known.name, keySet: keySet, policy: known.policy)
            }
            for id in try await TenantCommands.keys(in: tenant.keySet, of: "The tenant's keys").keyIDs {
                Output.line(id.printable)
            }
        }

        /// The tenant's key set with what was asked for, byte for byte as it was given where nothing was.
        private func changed(_ tenant: TenantRecord, _ given: [[String: Any]]) async throws -> [UInt8] {
            var keys = try Self.keys(tenant.keySet)
            for key in given { try Self.put(key, into: &keys, from: add ?? "") }
            keys.removeAll { key in withdraw.contains { $0 == Self.id(key) } }
            guard !keys.isEmpty else {
                throw CommandFailure(
                    .notSetUp,
                    "Nobody could sign in without a key. Add another one in the same command, or remove the tenant with "
                        + "`coffer-vault tenant remove`. Nothing was changed.")
            }
            let options: JSONSerialization.WritingOptions = [.sortedKeys, .withoutEscapingSlashes]
            let set = [UInt8](try JSONSerialization.data(withJSONObject: ["keys": keys], options: options))
            guard TenantRecord.keySetBytes.contains(set.count) else {
                throw CommandFailure(.badFile, "The tenant would have too many keys. Nothing was changed.")
            }
            _ = try await TenantCommands.keys(in: set, of: "The keys together")
            return set
        }

        private static func given(_ file: String) async throws -> [[String: Any]] {
            let given = try PublicFile.read(file, bytesMax: TenantRecord.keySetBytes.upperBound)
            _ = try await TenantCommands.keys(in: given, of: file)
            return try keys(given)
        }

        private static func keys(_ set: [UInt8]) throws(CommandFailure) -> [[String: Any]] {
            let read = try? JSONSerialization.jsonObject(with: Data(set)) as? [String: Any]
            guard let keys = read?["keys"] as? [[String: Any]] else {
                throw CommandFailure(.badFile, "The tenant's keys do not read.")
            }
            return keys
        }

        private static func id(_ key: [String: Any]) -> String? { key["kid"] as? String }

        /// One id for two keys would leave open which of them a token is checked with.
        private static func put(
            _ key: [String: Any], into keys: inout [[String: Any]], from file: String
        ) throws(CommandFailure) {
            guard let present = keys.first(where: { id($0) == id(key) }) else { return keys.append(key) }
            guard NSDictionary(dictionary: present).isEqual(to: key) else {
                throw CommandFailure(
                    .cannotCreate,
                    "\(file) has another key under the id \(id(key)?.printable ?? ""). A new key needs an id of its own. "
                        + "Nothing was changed.")
            }
        }
    }
}
