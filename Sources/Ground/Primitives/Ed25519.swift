import ByteCoding
import CSodium

/// An Ed25519 public key (RFC 8032).
package struct VerifyingKey: FixedBytes {
    package static let byteCount = 32
    package let bytes: [UInt8]
    package init(uncheckedBytes: [UInt8]) { bytes = uncheckedBytes }

    /// libsodium's strict check: canonical s, no key or nonce point of small order.
    package func isValid(_ signature: Signature, over message: [UInt8]) -> Bool {
        crypto_sign_ed25519_verify_detached(signature.bytes, message, UInt64(message.count), bytes) == 0
    }
}

/// An Ed25519 signature.
package struct Signature: FixedBytes {
    package static let byteCount = 64
    package let bytes: [UInt8]
    package init(uncheckedBytes: [UInt8]) { bytes = uncheckedBytes }
}

/// An Ed25519 private key. Signing is deterministic (RFC 8032 section 5.1.6), so that signatures have vectors.
package struct SigningKey: Sendable {
    package static let seedBytes = 32
    package let verifyingKey: VerifyingKey
    // libsodium's form: seed ‖ public key.
    private let secret: SecretBytes

    /// From a seed of 32 bytes.
    package init(seed: SecretBytes) {
        precondition(seed.count == Self.seedBytes, "an Ed25519 seed has 32 bytes")
        var publicKey = [UInt8](repeating: 0, count: VerifyingKey.byteCount)
        secret = SecretBytes(count: 64) { secret in
            guard let secret = secret.assumingMemoryBound(to: UInt8.self).baseAddress else { return }
            seed.withPointer { _ = crypto_sign_ed25519_seed_keypair(&publicKey, secret, $0) }
        }
        verifyingKey = VerifyingKey(uncheckedBytes: publicKey)
    }

    package static func random(using generator: inout some RandomNumberGenerator) -> SigningKey {
        SigningKey(seed: .random(seedBytes, using: &generator))
    }

    package func sign(_ message: [UInt8]) -> Signature {
        var signature = [UInt8](repeating: 0, count: Signature.byteCount)
        secret.withPointer { secret in
            _ = crypto_sign_ed25519_detached(&signature, nil, message, UInt64(message.count), secret)
        }
        return Signature(uncheckedBytes: signature)
    }
}
