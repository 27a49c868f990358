import Primitives
package import VaultCore

#if canImport(Glibc)
    import Glibc
    private let systemRead = Glibc.read
#else
    import Darwin
    private let systemRead = Darwin.read
#endif

/// Where a token's PIN comes from: never from an argument or the environment, which others can list.
package enum PINSource: Equatable, Sendable {
    /// A file that the vault's user alone may read.
    case file(String)
    /// A file descriptor that whoever starts the program has open, read once to its end.
    case descriptor(Int32)

    private static let bytesMax = 256

    package func read() throws(SecurityModuleError) -> TokenPIN {
        switch self {
        case .file(let path):
            var bytes: [UInt8]
            do throws(PrivateFile.Failure) { bytes = try PrivateFile.read(path, bytesMax: Self.bytesMax) } catch {
                throw .unavailable(Self.explain(error))
            }
            return try TokenPIN(wiping: &bytes, mark: Self.mark(of: path), place: path)
        case .descriptor(let descriptor):
            var bytes = try Self.bytes(of: descriptor)
            return try TokenPIN(wiping: &bytes, mark: "descriptor", place: "file descriptor \(descriptor)")
        }
    }

    private static func bytes(of descriptor: Int32) throws(SecurityModuleError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: bytesMax + 1)
        var count = 0
        while count < bytes.count {
            let read = bytes.withUnsafeMutableBytes { buffer in
                systemRead(descriptor, buffer.baseAddress?.advanced(by: count), buffer.count - count)
            }
            guard read >= 0 else {
                bytes.wipe()
                throw .unavailable(
                    "The PIN cannot be read from file descriptor \(descriptor): \(String(cString: strerror(errno))). Whoever "
                        + "starts the program opens it: \(descriptor)< FILE.")
            }
            if read == 0 { break }
            count += read
        }
        defer { bytes.wipe() }
        return Array(bytes.prefix(count))
    }

    /// Another one as soon as the file is written again.
    private static func mark(of path: String) -> String {
        var status = stat()
        guard lstat(path, &status) == 0 else { return "gone" }
        #if canImport(Glibc)
            let changed = status.st_mtim
        #else
            let changed = status.st_mtimespec
        #endif
        return "file \(status.st_ino) \(changed.tv_sec) \(changed.tv_nsec)"
    }

    private static func explain(_ failure: PrivateFile.Failure) -> String {
        switch failure {
        case .system(let text): "The PIN file \(text)."
        case .notPrivate(let path):
            "The PIN file \(path) may be read by others. If nobody has: chmod 600. Otherwise change the token's PIN too."
        case .notPlain(let path), .exists(let path):
            "\(path) is no PIN file: it is no plain file, or longer than a PIN."
        }
    }
}

/// A PIN in memory, for as long as the vault runs: it logs in again when the token was away.
package struct TokenPIN: Sendable {
    let secret: SecretBytes
    /// Tells this PIN from the one that is put in its place, without saying anything of either.
    let mark: String
    /// Where it came from, for people.
    let place: String

    init(wiping bytes: inout [UInt8], mark: String, place: String) throws(SecurityModuleError) {
        defer { bytes.wipe() }
        var count = bytes.count
        // Editors end a file with a line end.
        while count > 0, bytes[count - 1] == 0x0a || bytes[count - 1] == 0x0d { count -= 1 }
        guard (1...255).contains(count), !bytes[..<count].contains(0x0a) else {
            throw .unavailable("\(place) holds no PIN: it should be one line of 1 to 255 bytes.")
        }
        secret = SecretBytes(copying: bytes[..<count])
        self.mark = mark
        self.place = place
    }
}

/// Notes in a file that a PIN was not taken. A service that is started again and again would otherwise use up the few
/// tries after which a token locks itself.
package struct PINRefusals: Sendable {
    private let path: String

    package init(path: String) { self.path = path }

    /// Throws if this very PIN was refused before.
    package func check(_ pin: TokenPIN) throws(SecurityModuleError) {
        guard let noted = try? PrivateFile.read(path, bytesMax: 256), noted == Self.bytes(pin) else { return }
        throw .unavailable(
            "The token refused the PIN from \(pin.place) before, and it is not tried again: tokens lock after a few wrong ones. "
                + "Put the right PIN into its place. If nothing but that can have been wrong, delete \(path).")
    }

    func remember(_ pin: TokenPIN) { try? PrivateFile.replace(path, Self.bytes(pin)) }
    func forget() { unlink(path) }

    private static func bytes(_ pin: TokenPIN) -> [UInt8] { Array("\(pin.mark)\n".utf8) }
}
