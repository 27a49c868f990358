import ByteCoding
package import VaultCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The newest head in a small file, outside the store's.
///
/// It stops a store that is put back alone: from a copy, by a repair, by whoever can write the store and not this file.
/// It does not stop whoever puts back both, nor a machine that is resumed from its snapshot: witnesses do.
package struct FileAnchor: Anchor {
    private static let heading = "coffer vault anchor, version 1"
    private static let bytesMax = 256

    private let path: String

    package init(path: String) { self.path = path }

    /// Makes the file, for a vault that has committed nothing yet or with another head. An existing one is never
    /// replaced.
    package static func create(
        path: String, holding head: AnchoredHead = .none
    ) throws(AnchorError) -> FileAnchor {
        let bytes = Array(text(head).utf8)
        let outcome = bytes.withUnsafeBytes { bytes in
            Result { () throws(PrivateFile.Failure) in try PrivateFile.create(path, bytes) }
        }
        if case .failure(let failure) = outcome { throw .unavailable("\(failure)") }
        return FileAnchor(path: path)
    }

    package func heads() throws(AnchorError) -> [AnchoredHead] { [try read()] }

    package func advance(to head: KeyedHead) throws(AnchorError) {
        // Held from the look to the replacement: of two processes only one may take a step.
        let lock = open(path + ".lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw Self.system(path + ".lock") }
        defer { close(lock) }
        guard flock(lock, LOCK_EX) == 0 else { throw Self.system(path + ".lock") }
        let held = try read()
        if held == head.anchored { return }
        guard held.epoch < .max, held.epoch + 1 == head.head.epoch, held.hash == head.head.previous else {
            throw .moved
        }
        try replace(with: Array(Self.text(head.anchored).utf8))
    }

    private static func text(_ head: AnchoredHead) -> String {
        "\(heading)\nepoch \(head.epoch)\nhash \(head.hash.hex)\n"
    }

    private func read() throws(AnchorError) -> AnchoredHead {
        let bytes: [UInt8]
        do { bytes = try PrivateFile.read(path, bytesMax: Self.bytesMax) } catch {
            throw .damaged("\(path) is gone, cannot be read, or is open to others")
        }
        let text = String(decoding: bytes, as: UTF8.self)
        let words = text.split(whereSeparator: \.isNewline).dropFirst().map { $0.split(separator: " ").last ?? "" }
        guard words.count == 2, let epoch = UInt64(words[0]), let hash = try? HeadHash(hex: words[1]) else {
            throw .damaged("\(path) is not an anchor")
        }
        let head = AnchoredHead(epoch: epoch, hash: hash)
        // One text for each head: what was altered by hand, or torn, does not pass.
        guard Self.text(head) == text else { throw .damaged("\(path) is not an anchor") }
        return head
    }

    /// The new file is on the medium before it takes the old one's name, and the name before anyone is answered.
    private func replace(with bytes: [UInt8]) throws(AnchorError) {
        do throws(PrivateFile.Failure) { try PrivateFile.replace(path, bytes) } catch { throw .unavailable("\(error)") }
    }

    private static func system(_ path: String) -> AnchorError {
        .unavailable("\(path): \(String(cString: strerror(errno)))")
    }
}
