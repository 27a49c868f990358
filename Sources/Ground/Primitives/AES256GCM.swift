import Crypto

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// AES-256-GCM (NIST SP 800-38D) with a 96-bit nonce and a 128-bit tag.
///
/// GCM does not commit to its key: where a key comes from a password, the caller checks a commitment first.
package struct AES256GCM: Sendable {
    package static let keyBytes = 32
    package static let nonceBytes = 12
    package static let tagBytes = 16

    /// The one failure of an authenticated cipher: wrong key, wrong nonce, wrong associated data or altered bytes.
    package struct OpenError: Error, Equatable {}

    private let key: SymmetricKey

    package init(key: SecretBytes) {
        precondition(key.count == Self.keyBytes, "an AES-256 key has 32 bytes")
        self.key = key.symmetricKey
    }

    /// Returns ciphertext ‖ tag. A nonce must never be used twice under one key.
    package func seal(
        _ plaintext: UnsafeRawBufferPointer, nonce: [UInt8], authenticating data: [UInt8] = []
    ) -> [UInt8] {
        let box = box(plaintext, nonce: nonce, authenticating: data)
        var sealed: [UInt8] = []
        sealed.reserveCapacity(plaintext.count + Self.tagBytes)
        box.ciphertext.withUnsafeBytes { sealed.append(contentsOf: $0) }
        box.tag.withUnsafeBytes { sealed.append(contentsOf: $0) }
        return sealed
    }

    /// Writes ciphertext ‖ tag into `target`, which has room for both and may be where the plaintext lies.
    package func seal(
        _ plaintext: UnsafeRawBufferPointer, nonce: [UInt8], into target: UnsafeMutableRawBufferPointer
    ) {
        precondition(target.count == plaintext.count + Self.tagBytes, "a sealed frame is a tag longer")
        let box = box(plaintext, nonce: nonce, authenticating: [])
        box.ciphertext.withUnsafeBytes { target.copyMemory(from: $0) }
        box.tag.withUnsafeBytes { target[plaintext.count...].copyBytes(from: $0) }
    }

    private func box(_ plaintext: UnsafeRawBufferPointer, nonce: [UInt8], authenticating data: [UInt8])
        -> AES.GCM.SealedBox
    {
        // The only failures of swift-crypto here are sizes that the types above and the callers fix.
        guard
            let nonce = try? AES.GCM.Nonce(data: nonce),
            let box = try? AES.GCM.seal(plaintext, using: key, nonce: nonce, authenticating: data)
        else { preconditionFailure("AES-256-GCM refused a nonce of 12 bytes") }
        return box
    }

    /// Opens ciphertext ‖ tag into `target`, which has room for the plaintext and may be where the ciphertext lies.
    package func open(
        _ sealed: UnsafeRawBufferPointer, nonce: [UInt8], into target: UnsafeMutableRawBufferPointer
    ) throws(OpenError) {
        guard sealed.count >= Self.tagBytes, target.count >= sealed.count - Self.tagBytes else { throw OpenError() }
        do {
            try opened(sealed, nonce: nonce, authenticating: []).withUnsafeBytes { target.copyMemory(from: $0) }
        } catch {
            throw OpenError()
        }
    }

    private func opened(
        _ sealed: UnsafeRawBufferPointer, nonce: [UInt8], authenticating data: [UInt8]
    ) throws -> Data {
        let split = sealed.count - Self.tagBytes
        let box = try AES.GCM.SealedBox(
            nonce: AES.GCM.Nonce(data: nonce), ciphertext: UnsafeRawBufferPointer(rebasing: sealed[..<split]),
            tag: UnsafeRawBufferPointer(rebasing: sealed[split...]))
        return try AES.GCM.open(box, using: key, authenticating: data)
    }

    package func seal(_ plaintext: [UInt8], nonce: [UInt8], authenticating data: [UInt8] = []) -> [UInt8] {
        plaintext.withUnsafeBytes { seal($0, nonce: nonce, authenticating: data) }
    }

    /// Opens ciphertext ‖ tag.
    package func open(
        _ sealed: some Collection<UInt8>, nonce: [UInt8], authenticating data: [UInt8] = []
    ) throws(OpenError) -> [UInt8] {
        guard sealed.count >= Self.tagBytes else { throw OpenError() }
        let sealed = Array(sealed)
        do {
            return try sealed.withUnsafeBytes { Array(try opened($0, nonce: nonce, authenticating: data)) }
        } catch {
            throw OpenError()
        }
    }
}
