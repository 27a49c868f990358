import ByteCoding
package import Primitives
package import VaultCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A witness's folder: its key, and a small file for each vault that it watches. One process at a time.
package final class WitnessFolder: WitnessMemory {
    private static let suffix = ".watched"
    private static let bytesMax = 1024

    private let path: String
    /// Held until the process ends: two witnesses with one key and two memories would be one that forgets.
    private let lock: Int32

    /// Opens the folder; it is there already.
    package init(path: String) throws(AnchorError) {
        self.path = path
        lock = open("\(path)/lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw .unavailable("\(path)/lock: \(String(cString: strerror(errno)))") }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            close(lock)
            throw .unavailable("another witness serves from \(path)")
        }
    }

    deinit { close(lock) }

    /// The witness's key; made at the first call.
    package func key(using generator: inout some RandomNumberGenerator) throws(AnchorError) -> SigningKey {
        let file = "\(path)/witness.key"
        if access(file, F_OK) != 0 {
            let seed = SecretBytes.random(SigningKey.seedBytes, using: &generator)
            do throws(PrivateFile.Failure) {
                try seed.withBytes { bytes throws(PrivateFile.Failure) in try PrivateFile.create(file, bytes) }
            } catch { throw .unavailable("\(file) cannot be made") }
        }
        var bytes: [UInt8]
        do { bytes = try PrivateFile.read(file, bytesMax: SigningKey.seedBytes) } catch {
            throw .damaged("\(file) cannot be read, or is open to others")
        }
        guard bytes.count == SigningKey.seedBytes else { throw .damaged("\(file) is not a witness's key") }
        return SigningKey(seed: SecretBytes(wiping: &bytes))
    }

    package func vaults() throws(AnchorError) -> [WatchedVault] {
        guard let folder = opendir(path) else { throw .unavailable("\(path): \(String(cString: strerror(errno)))") }
        defer { closedir(folder) }
        var vaults: [WatchedVault] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasSuffix(Self.suffix) { vaults.append(try read("\(path)/\(name)", name)) }
        }
        return vaults
    }

    package func keep(_ vault: WatchedVault) throws(AnchorError) {
        do {
            try PrivateFile.replace("\(path)/\(vault.vaultID)\(Self.suffix)", vault.encoded())
        } catch { throw .unavailable("the head of vault \(vault.vaultID) cannot be kept: \(error)") }
    }

    private func read(_ file: String, _ name: String) throws(AnchorError) -> WatchedVault {
        guard let bytes = try? PrivateFile.read(file, bytesMax: Self.bytesMax),
            let vault = try? WatchedVault(decoding: bytes), "\(vault.vaultID)\(Self.suffix)" == name
        else { throw .damaged("\(file) does not read") }
        return vault
    }
}
