import Crypto

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// HPKE (RFC 9180) in base mode with X-Wing (ML-KEM-768 and X25519), HKDF-SHA256 and AES-256-GCM, one message.
///
/// The sender's encapsulation draws its randomness from the system inside swift-crypto, which offers no other way.
package enum HybridHPKE {
    package static let publicKeyBytes = 1216
    package static let encapsulatedBytes = 1120
    package static let seedBytes = 32
    package static let tagBytes = 16

    /// The public key, the encapsulated key or the ciphertext is not what it should be.
    package struct Failure: Error, Equatable {}

    private static var suite: HPKE.Ciphersuite { .XWingMLKEM768X25519_SHA256_AES_GCM_256 }

    package struct Sealed: Sendable {
        package let encapsulated: [UInt8]
        /// ciphertext ‖ tag
        package let ciphertext: [UInt8]
        package let exported: SecretBytes
    }

    /// Seals one message to `publicKey` and exports a secret of 32 bytes under `exportLabel`.
    package static func seal(
        _ plaintext: [UInt8], to publicKey: [UInt8], info: [UInt8], exportLabel: [UInt8]
    ) throws(Failure) -> Sealed {
        do {
            let key = try XWingMLKEM768X25519.PublicKey(rawRepresentation: publicKey)
            var sender = try HPKE.Sender(recipientKey: key, ciphersuite: suite, info: Data(info))
            let ciphertext = try sender.seal(plaintext)
            let exported = try sender.exportSecret(context: exportLabel, outputByteCount: 32)
            return Sealed(
                encapsulated: Array(sender.encapsulatedKey), ciphertext: Array(ciphertext),
                exported: exported.secretBytes)
        } catch {
            throw Failure()
        }
    }

    /// An X-Wing private key.
    package struct PrivateKey: Sendable {
        private let key: XWingMLKEM768X25519.PrivateKey
        /// 1,216 bytes.
        package let publicKey: [UInt8]

        /// From a seed of 32 bytes.
        package init(seed: SecretBytes) {
            precondition(seed.count == HybridHPKE.seedBytes, "an X-Wing seed has 32 bytes")
            let made = seed.withBytes { try? XWingMLKEM768X25519.PrivateKey(seedRepresentation: $0, publicKey: nil) }
            guard let made else { preconditionFailure("swift-crypto refused an X-Wing seed of 32 bytes") }
            key = made
            publicKey = Array(made.publicKey.rawRepresentation)
        }

        /// Opens one message and exports the same secret as the sender.
        package func open(
            _ ciphertext: [UInt8], encapsulated: [UInt8], info: [UInt8], exportLabel: [UInt8]
        ) throws(Failure) -> (plaintext: [UInt8], exported: SecretBytes) {
            do {
                var recipient = try HPKE.Recipient(
                    privateKey: key, ciphersuite: HybridHPKE.suite, info: Data(info),
                    encapsulatedKey: Data(encapsulated))
                let plaintext = try recipient.open(ciphertext)
                let exported = try recipient.exportSecret(context: exportLabel, outputByteCount: 32)
                return (Array(plaintext), exported.secretBytes)
            } catch {
                throw Failure()
            }
        }
    }
}
