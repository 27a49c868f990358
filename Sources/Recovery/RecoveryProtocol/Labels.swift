package import ByteCoding
import Primitives

/// Every label of the protocol, one for each use: no byte string of one use can pass for one of another.
/// Specs/recovery.md has the same table.
package enum Label: String, CaseIterable, Sendable {
    // Hashes (SHA-256)
    case vaultID = "coffer/v1/vault-id"
    case fleetFingerprint = "coffer/v1/fleet-fingerprint"
    case shareCommitment = "coffer/v1/share-commitment"
    case envelopeHash = "coffer/v1/envelope-hash"
    case recordHash = "coffer/v1/record-hash"
    case receipt = "coffer/v1/receipt"
    case channelKeyID = "coffer/v1/channel-key-id"

    // Keys (HKDF-SHA512)
    case envelopeKey = "coffer/v1/envelope-key"
    case envelopeCommitment = "coffer/v1/envelope-commitment"
    case managementKey = "coffer/v1/management-key"
    case channelReply = "coffer/v1/channel-reply"

    // HPKE: info, and the context of the exported secret
    case channelInfo = "coffer/v1/channel-info"
    case channelExport = "coffer/v1/channel-export"

    // OPRF input
    case passwordInput = "coffer/v1/password-input"

    // The hedged nonce of a DLEQ proof (domain separation tag of expand_message_xmd)
    case proofNonce = "coffer/v1/proof-nonce"

    // Signatures (Ed25519)
    case signPrepare = "coffer/v1/sign-prepare"
    case signActivate = "coffer/v1/sign-activate"
    case signReplace = "coffer/v1/sign-replace"
    case signRetire = "coffer/v1/sign-retire"
    case signConfirm = "coffer/v1/sign-confirm"
    case signDelete = "coffer/v1/sign-delete"
    case signForgive = "coffer/v1/sign-forgive"
    case signHistory = "coffer/v1/sign-history"
    case signSetHead = "coffer/v1/sign-set-head"
    case signGetHead = "coffer/v1/sign-get-head"
    case signThaw = "coffer/v1/sign-thaw"
    case signChannelKey = "coffer/v1/sign-channel-key"
    case signFleet = "coffer/v1/sign-fleet"

    package var bytes: [UInt8] { Array(rawValue.utf8) }
}

/// The canonical byte string of one use: `opaque label<1..255>`, then the fields.
///
/// Throws only where a field is outside its limits, which a value that was decoded or validated never is.
package func labelled(
    _ label: Label, _ fields: (inout ByteWriter) throws(ByteCodingError) -> Void
) throws(ByteCodingError) -> [UInt8] {
    var writer = ByteWriter()
    try writer.vector(label.bytes, 1...255)
    try fields(&writer)
    return writer.bytes
}

/// The same for fields of fixed sizes, which cannot fail.
package func labelled(_ label: Label, fixed fields: (inout ByteWriter) -> Void) -> [UInt8] {
    var writer = ByteWriter()
    writer.uint8(UInt8(truncatingIfNeeded: label.bytes.count))
    writer.raw(label.bytes)
    fields(&writer)
    return writer.bytes
}
