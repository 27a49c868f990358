import CSodium

/// XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03): its 192-bit nonces may be drawn at random without a count.
package struct XChaCha20Poly1305: Sendable {
    package static let keyBytes = 32
    package static let nonceBytes = 24
    package static let tagBytes = 16

    /// The one failure: wrong key, wrong nonce, wrong associated data or altered bytes.
    package struct OpenError: Error, Equatable {}

    private let key: SecretBytes

    package init(key: SecretBytes) {
        precondition(key.count == Self.keyBytes, "an XChaCha20-Poly1305 key has 32 bytes")
        self.key = key
    }

    /// Returns ciphertext ‖ tag.
    package func seal(_ plaintext: [UInt8], nonce: [UInt8], authenticating data: [UInt8] = []) -> [UInt8] {
        precondition(nonce.count == Self.nonceBytes, "an XChaCha20-Poly1305 nonce has 24 bytes")
        var sealed = [UInt8](repeating: 0, count: plaintext.count + Self.tagBytes)
        key.withPointer { key in
            _ = crypto_aead_xchacha20poly1305_ietf_encrypt(
                &sealed, nil, plaintext, UInt64(plaintext.count), data, UInt64(data.count), nil, nonce, key)
        }
        return sealed
    }

    /// Opens ciphertext ‖ tag.
    package func open(
        _ sealed: [UInt8], nonce: [UInt8], authenticating data: [UInt8] = []
    ) throws(OpenError) -> [UInt8] {
        guard sealed.count >= Self.tagBytes, nonce.count == Self.nonceBytes else { throw OpenError() }
        var plaintext = [UInt8](repeating: 0, count: sealed.count - Self.tagBytes)
        let status = key.withPointer { key in
            crypto_aead_xchacha20poly1305_ietf_decrypt(
                &plaintext, nil, nil, sealed, UInt64(sealed.count), data, UInt64(data.count), nonce, key)
        }
        guard status == 0 else { throw OpenError() }
        return plaintext
    }
}
