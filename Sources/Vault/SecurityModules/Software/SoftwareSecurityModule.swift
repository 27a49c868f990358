package import Primitives
package import VaultCore

/// The embedded default: the wrapping key lies in a file that only the vault's user may read.
///
/// It keeps a stolen *store* closed, not a stolen machine: whoever holds both the file and the store holds the records.
package struct SoftwareSecurityModule: SecurityModule {
    /// The first line says what the file is; the key's bytes follow.
    private static let heading = Array("coffer vault wrapping key, version 1\n".utf8)
    private static let label = Array("coffer vault data key v1".utf8)

    private let cipher: XChaCha20Poly1305

    /// Reads the key file.
    package init(path: String) throws(SecurityModuleError) {
        var bytes: [UInt8]
        do {
            bytes = try PrivateFile.read(path, bytesMax: Self.heading.count + XChaCha20Poly1305.keyBytes)
        } catch {
            throw .unavailable(Self.explain(error))
        }
        defer { bytes.wipe() }
        guard
            bytes.count == Self.heading.count + XChaCha20Poly1305.keyBytes,
            bytes.starts(with: Self.heading)
        else { throw .unavailable("\(path) is not a vault's wrapping key") }
        cipher = XChaCha20Poly1305(key: SecretBytes(copying: bytes[Self.heading.count...]))
    }

    /// Makes a key file where there is none, and opens it.
    package static func create(
        path: String, using generator: inout some RandomNumberGenerator
    ) throws(SecurityModuleError) -> SoftwareSecurityModule {
        let key = SecretBytes.random(XChaCha20Poly1305.keyBytes, using: &generator)
        var bytes = heading
        bytes.reserveCapacity(heading.count + key.count)
        key.withBytes { bytes.append(contentsOf: $0) }
        defer { bytes.wipe() }
        let outcome = bytes.withUnsafeBytes { bytes in
            Result { () throws(PrivateFile.Failure) in try PrivateFile.create(path, bytes) }
        }
        if case .failure(let error) = outcome { throw .unavailable(explain(error)) }
        return try SoftwareSecurityModule(path: path)
    }

    /// nonce ‖ sealed data key. The nonce is 24 random bytes.
    package func wrap(
        _ dataKey: SecretBytes, using generator: inout some RandomNumberGenerator
    ) throws(SecurityModuleError) -> [UInt8] {
        let nonce = generator.bytes(XChaCha20Poly1305.nonceBytes)
        var plaintext = dataKey.withBytes { Array($0) }
        defer { plaintext.wipe() }
        return nonce + cipher.seal(plaintext, nonce: nonce, authenticating: Self.label)
    }

    package func unwrap(_ wrapped: [UInt8]) throws(SecurityModuleError) -> SecretBytes {
        guard wrapped.count > XChaCha20Poly1305.nonceBytes else { throw .refused }
        let nonce = Array(wrapped[..<XChaCha20Poly1305.nonceBytes])
        let sealed = Array(wrapped[XChaCha20Poly1305.nonceBytes...])
        do {
            var plaintext = try cipher.open(sealed, nonce: nonce, authenticating: Self.label)
            return SecretBytes(wiping: &plaintext)
        } catch {
            throw .refused
        }
    }

    private static func explain(_ failure: PrivateFile.Failure) -> String {
        switch failure {
        case .system(let text): text
        case .notPrivate(let path):
            "\(path) may be read by others. Take their permission away (chmod 600) if nobody has read it; "
                + "otherwise make a new vault and register anew."
        case .notPlain(let path): "\(path) is not a vault's wrapping key"
        case .exists(let path): "\(path) exists already and is not replaced: records may depend on it"
        }
    }
}
