package import ByteCoding

/// The labels of what a vault hashes, authenticates and signs for itself and its witnesses; beside those of the
/// recovery protocol, with the same prefix and in the same form, so that no byte string of one use passes for another.
package enum VaultLabel: String, CaseIterable, Sendable {
    case headCode = "coffer/v1/vault-head-code"
    case headHash = "coffer/v1/vault-head-hash"
    case tokenHead = "coffer/v1/vault-token-head"
    case signHead = "coffer/v1/sign-vault-head"
    case signWitness = "coffer/v1/sign-witness-answer"
}

/// `opaque label<1..255>`, then the content.
package func labelled(_ label: VaultLabel, _ content: [UInt8]) throws(ByteCodingError) -> [UInt8] {
    var writer = ByteWriter()
    try writer.vector(Array(label.rawValue.utf8), 1...255)
    writer.raw(content)
    return writer.bytes
}
