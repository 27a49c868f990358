import CSodium

/// Argon2id version 1.3 (RFC 9106) with one lane.
package enum Argon2id {
    package static let saltBytes = 16

    /// The machine could not give the memory. Nothing was derived; with less memory in use it may work.
    package struct MemoryUnavailable: Error, Equatable {}

    /// `memory` in KiB (8 or more), `passes` 1 or more; salt of 16 bytes.
    package static func derive(
        _ password: SecretBytes, salt: [UInt8], memoryKiB: UInt32, passes: UInt32, count: Int
    ) throws(MemoryUnavailable) -> SecretBytes {
        precondition(salt.count == saltBytes, "an Argon2id salt has 16 bytes here")
        var status: Int32 = -1
        let derived = SecretBytes(count: count) { output in
            guard let output = output.assumingMemoryBound(to: UInt8.self).baseAddress else { return }
            password.withBytes { bytes in
                guard let text = bytes.assumingMemoryBound(to: CChar.self).baseAddress else { return }
                status = crypto_pwhash(
                    output, UInt64(count), text, UInt64(bytes.count), salt,
                    UInt64(passes), Int(memoryKiB) * 1024, crypto_pwhash_ALG_ARGON2ID13)
            }
        }
        guard status == 0 else { throw MemoryUnavailable() }
        return derived
    }
}
