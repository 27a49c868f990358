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
    /// Checks that t vaults of this version signed the next one, and that it only adds.
    package func accept(_ next: Fleet, signatures: [FleetSignature]) throws(FleetUpdateError) -> Fleet {
        try checkSuccessor(next)
        guard let signed = try? SignedBytes.fleet(next) else { throw .rewritesHistory }
        let valid = currentVaults.count { vault in
            signatures.contains { $0.index == vault.index && vault.identityKey.isValid($0.signature, over: signed) }
        }
        guard valid >= threshold else { throw .tooFewSignatures(valid: valid) }
        return next
    }

    /// Checks all of it but the signatures; also what a vault looks at before it signs. An index or an old generation that
    /// changed its meaning would let a new vault answer for an old registration.
    package func checkSuccessor(_ next: Fleet) throws(FleetUpdateError) {
        guard next.id == id else { throw .anotherFleet }
        guard next.version > version else { throw .notNewer }
        let keepsVaults = vaults.allSatisfy { next.vault(index: $0.index)?.identityKey == $0.identityKey }
        guard keepsVaults, next.generations.starts(with: generations) else { throw .rewritesHistory }
    }

    /// Whether the other one is this version, but for where the vaults are reached.
    package func isSameVersion(as other: Fleet) -> Bool {
        id == other.id && promisedTotal == other.promisedTotal && generations == other.generations
            && vaults.map(\.index) == other.vaults.map(\.index)
            && vaults.map(\.identityKey) == other.vaults.map(\.identityKey)
    }

    /// The version after this one, with vaults added and retired. Indices are not used again, and t follows from n.
    package func next(
        adding keysAndURLs: [(key: VerifyingKey, urls: [String])], retiring indices: [UInt8],
        promisedTotal: UInt8? = nil
    ) throws(FleetError) -> Fleet {
        var listed = vaults
        for (key, urls) in keysAndURLs {
            guard let last = listed.last?.index, last < .max else { throw .tooLarge }
            listed.append(Vault(index: last + 1, identityKey: key, urls: urls))
        }
        if let unknown = indices.first(where: { !current.indices.contains($0) }) { throw .unknownVault(index: unknown) }
        guard version < .max else { throw .versionsOutOfOrder }
        let added = listed.map(\.index).filter { vault(index: $0) == nil }
        let serving = current.indices.filter { !indices.contains($0) } + added
        let generation = Generation(
            version: version + 1, threshold: UInt8(clamping: (serving.count + 1) / 2), indices: serving)
        return try Fleet(
            id: id, promisedTotal: promisedTotal ?? self.promisedTotal, vaults: listed,
            generations: generations + [generation])
    }

    /// What two people compare to know that they mean the same fleet: 16 bytes in eight groups of hexadecimal digits.
    package func fingerprint() throws(ByteCodingError) -> String {
        let bytes = try labelled(.fleetFingerprint) { writer throws(ByteCodingError) in try encode(into: &writer) }
        let digits = Array(Hex.encode(sha256(bytes).prefix(16)))
        return stride(from: 0, to: digits.count, by: 4).map { String(digits[$0..<$0 + 4]) }.joined(separator: " ")
    }
}
