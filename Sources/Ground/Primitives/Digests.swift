import Crypto

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// SHA-256 (FIPS 180-4), 32 bytes.
package func sha256(_ bytes: some Collection<UInt8>) -> [UInt8] { sha256(Array(bytes)) }

/// The same of an array, which is not copied.
package func sha256(_ bytes: [UInt8]) -> [UInt8] { bytes.withUnsafeBytes { sha256($0) } }

/// The same of bytes in place.
package func sha256(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
    var hash = SHA256()
    hash.update(bufferPointer: bytes)
    return hash.finalize().array
}

/// SHA-512 (FIPS 180-4), 64 bytes.
package func sha512(_ bytes: some Collection<UInt8>) -> [UInt8] {
    SHA512.hash(data: Array(bytes)).array
}

/// HMAC-SHA256 (RFC 2104), 32 bytes.
package func hmacSHA256(_ bytes: [UInt8], key: SecretBytes) -> [UInt8] {
    bytes.withUnsafeBytes { hmacSHA256($0, key: key) }
}

/// HMAC-SHA256 over part of a buffer that is used again and again.
package func hmacSHA256(_ bytes: UnsafeRawBufferPointer, key: SecretBytes) -> [UInt8] {
    var hmac = HMAC<SHA256>(key: key.symmetricKey)
    hmac.update(data: bytes)
    return hmac.finalize().array
}

/// HKDF-SHA512 (RFC 5869).
package func hkdfSHA512(
    _ inputKey: SecretBytes, salt: [UInt8], info: [UInt8], count: Int
) -> SecretBytes {
    let key = HKDF<SHA512>.deriveKey(
        inputKeyMaterial: inputKey.symmetricKey, salt: salt, info: info, outputByteCount: count)
    return key.secretBytes
}

/// HKDF-SHA256 (RFC 5869), without a salt.
package func hkdfSHA256(_ inputKey: SecretBytes, info: [UInt8], count: Int) -> SecretBytes {
    let key = HKDF<SHA256>.deriveKey(inputKeyMaterial: inputKey.symmetricKey, info: info, outputByteCount: count)
    return key.secretBytes
}

extension ContiguousBytes {
    /// A digest or code, copied at once: as a sequence each byte would be a call.
    var array: [UInt8] { withUnsafeBytes { Array($0) } }
}

extension SecretBytes {
    /// swift-crypto's own holder of a key, which wipes itself too.
    var symmetricKey: SymmetricKey { withBytes { SymmetricKey(data: $0) } }
}

extension SymmetricKey {
    var secretBytes: SecretBytes {
        withUnsafeBytes { bytes in SecretBytes(count: bytes.count) { $0.copyMemory(from: bytes) } }
    }
}
