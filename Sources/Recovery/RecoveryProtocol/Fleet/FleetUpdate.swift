package import ByteCoding
package import Primitives

/// A vault's word for a new version of its fleet.
package struct FleetSignature: Hashable, Sendable {
    /// In the version before.
    package let index: UInt8
    /// Over `SignedBytes.fleet` of the new version.
    package let signature: Signature

    package init(index: UInt8, signature: Signature) {
        self.index = index
        self.signature = signature
    }
}

/// Why a new version of a fleet file is not taken. The old one stays.
package enum FleetUpdateError: Error, Equatable {
    case anotherFleet
    case notNewer
    /// The new version forgets or alters a vault or a generation of the old one.
    case rewritesHistory
    /// Fewer than t vaults of the old version signed; with the number that did.
    case tooFewSignatures(valid: Int)
}

extension Fleet {
    /// Checks that t vaults of this version signed the next one, and that it only adds: an index or an old generation
    /// that changed its meaning would let a new vault answer for an old registration.
    package func accept(_ next: Fleet, signatures: [FleetSignature]) throws(FleetUpdateError) -> Fleet {
        guard next.id == id else { throw .anotherFleet }
        guard next.version > version else { throw .notNewer }
        let keepsVaults = vaults.allSatisfy { next.vault(index: $0.index)?.identityKey == $0.identityKey }
        guard keepsVaults, next.generations.starts(with: generations) else { throw .rewritesHistory }
        guard let signed = try? SignedBytes.fleet(next) else { throw .rewritesHistory }
        let valid = currentVaults.count { vault in
            signatures.contains { $0.index == vault.index && vault.identityKey.isValid($0.signature, over: signed) }
        }
        guard valid >= threshold else { throw .tooFewSignatures(valid: valid) }
        return next
    }

    /// What two people compare to know that they mean the same fleet: 16 bytes in eight groups of hexadecimal digits.
    package func fingerprint() throws(ByteCodingError) -> String {
        let bytes = try labelled(.fleetFingerprint) { writer throws(ByteCodingError) in try encode(into: &writer) }
        let digits = Array(Hex.encode(sha256(bytes).prefix(16)))
        return stride(from: 0, to: digits.count, by: 4).map { String(digits[$0..<$0 + 4]) }.joined(separator: " ")
    }
}
