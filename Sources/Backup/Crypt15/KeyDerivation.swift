package import Primitives

/// The keys that come from K (Specs/crypt15.md, section 1): HKDF-SHA256 without a salt.
extension RootKey {
    /// AES-256-GCM of every `.crypt15`.
    package func backupKey() -> SecretBytes { derive("backup encryption") }

    /// AES-256-CBC of Drive metadata.
    package func metadataKey() -> SecretBytes { derive("metadata encryption") }

    /// HMAC-SHA256 of Drive metadata.
    package func metadataMACKey() -> SecretBytes { derive("metadata authentication") }

    /// Key and nonce of the media file of this name.
    package func mediaKey(_ name: MediaName) -> (key: SecretBytes, nonce: [UInt8]) {
        let both = hkdfSHA256(secret, info: name.bytes, count: 48)
        return both.withBytes { bytes in
            (SecretBytes(copying: bytes.prefix(32)), Array(bytes[32..<48]))
        }
    }

    private func derive(_ label: String) -> SecretBytes { hkdfSHA256(secret, info: Array(label.utf8), count: 32) }
}
