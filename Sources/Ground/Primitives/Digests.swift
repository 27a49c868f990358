import CSodium
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
    if bytes.count <= shortBytesMax { return shortHMACSHA256(bytes, key: key) }
    var hmac = HMAC<SHA256>(key: key.symmetricKey)
    hmac.update(data: bytes)
    return hmac.finalize().array
}

/// Up to here swift-crypto takes longer to copy the key into an object of its own and to make ready for it than libsodium for the
/// code; beyond it swift-crypto is faster, for it has the processor's own instructions for SHA-256.
private let shortBytesMax = 256

/// The same by libsodium, with the key where it lies.
private func shortHMACSHA256(_ bytes: UnsafeRawBufferPointer, key: SecretBytes) -> [UInt8] {
    var state = crypto_auth_hmacsha256_state()
    // What the state holds is as good as the key.
    defer { withUnsafeMutableBytes(of: &state) { sodium_memzero($0.baseAddress, $0.count) } }
    key.withPointer { _ = crypto_auth_hmacsha256_init(&state, $0, key.count) }
    crypto_auth_hmacsha256_update(&state, bytes.assumingMemoryBound(to: UInt8.self).baseAddress, UInt64(bytes.count))
    var code = [UInt8](repeating: 0, count: Int(crypto_auth_hmacsha256_BYTES))
    crypto_auth_hmacsha256_final(&state, &code)
    return code
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
