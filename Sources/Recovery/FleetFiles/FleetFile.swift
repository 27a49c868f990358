package import ByteCoding
package import RecoveryProtocol

/// A fleet file: what operators publish and apps pin. TOML, public throughout.
package struct FleetFile: Equatable, Sendable {
    package let fleet: Fleet
    /// By vaults of the version before, if there was one.
    package let signatures: [FleetSignature]

    package init(fleet: Fleet, signatures: [FleetSignature] = []) {
        self.fleet = fleet
        self.signatures = signatures
    }

    /// The file's text, always laid out alike.
    package func text() throws(ByteCodingError) -> String {
        var lines = [
            "# A Coffer fleet. Everything here is public.",
            "# Fingerprint: \(try fleet.fingerprint())",
            "",
            "fleet = \"\(fleet.id.hex)\"",
            "version = \(fleet.version)",
            "threshold = \(fleet.threshold)",
            "promised_total = \(fleet.promisedTotal)",
        ]
        for vault in fleet.vaults {
            lines += [
                "", "[[vault]]", "index = \(vault.index)",
                "id = \"\(vault.id.hex)\"",
                "identity = \"\(vault.identityKey.hex)\"",
                "urls = [\(vault.urls.map { "\"\($0)\"" }.joined(separator: ", "))]",
            ]
            if fleet.isRetired(vault) { lines.append("retired = true") }
        }
        for generation in fleet.generations.dropLast() {
            lines += [
                "", "[[earlier]]", "version = \(generation.version)", "threshold = \(generation.threshold)",
                "vaults = [\(generation.indices.map(String.init).joined(separator: ", "))]",
            ]
        }
        for signature in signatures {
            lines += [
                "", "[[signature]]", "vault = \(signature.index)", "value = \"\(signature.signature.hex)\"",
            ]
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
