import ByteCoding
import Primitives
import Synchronization
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
///
/// The file has two blocks, each with a check of its own, and the newer one holds. A step overwrites the older one in
/// place: a power cut leaves the head of before or the new one, and no new file is made for each batch, which costs
/// disk and processor more than the batch.
package struct FileAnchor: Anchor {
    private static let heading = "coffer vault anchor, version 2"
    /// One text and one file in the place of another, as it was written before.
    private static let headingOfOneText = "coffer vault anchor, version 1"
    /// What disks write in one step, at most: a power cut must not take the other block along.
    private static let blockBytes = 4_096
    /// The lines of a block; empty ones follow.
    private static let textBytesMax = 256

    private let path: String
    private let waitedFor = WaitedFor()
    private let lastRead = LastRead()

    package init(path: String) { self.path = path }

    /// The head that this process wrote and saw on the medium. What another one wrote, or an fdatasync that failed left,
    /// is read back from the system's memory as if it were there.
    private final class WaitedFor: Sendable {
        let head = Mutex<AnchoredHead?>(nil)
    }

    /// The file as it was last read or written, and what it says: to take it apart anew for each batch costs as much as a batch of
    /// ten, and mostly it is as this process left it. The file itself is read each time.
    private final class LastRead: Sendable {
        let file = Mutex<(bytes: [UInt8], held: Held)?>(nil)

        func held(in bytes: [UInt8]) -> Held? {
            file.withLock { last in
                guard let last, last.bytes.count == bytes.count, memcmp(last.bytes, bytes, bytes.count) == 0 else {
                    return nil
                }
                return last.held
            }
        }
    }

    /// Makes the file, for a vault that has committed nothing yet or with another head. An existing one is never
    /// replaced.
    package static func create(
        path: String, holding head: AnchoredHead = .none
    ) throws(AnchorError) -> FileAnchor {
        let bytes = twoBlocks(head)
        let outcome = bytes.withUnsafeBytes { bytes in
            Result { () throws(PrivateFile.Failure) in try PrivateFile.create(path, bytes) }
        }
        if case .failure(let failure) = outcome { throw .unavailable("\(failure)") }
        return FileAnchor(path: path)
    }

    package func heads() throws(AnchorError) -> [AnchoredHead] { [try read().newest] }

    package func advance(to head: KeyedHead) throws(AnchorError) {
        // Held from the look to the write: of two processes only one may take a step.
        let lock = open(path + ".lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw Self.system(path + ".lock") }
        defer { close(lock) }
        guard flock(lock, LOCK_EX) == 0 else { throw Self.system(path + ".lock") }
        let held = try read()
        if held.newest == head.anchored { return try keepNewest(of: held) }
        guard held.newest.epoch < .max, held.newest.epoch + 1 == head.head.epoch,
            held.newest.hash == head.head.previous
        else { throw .moved }
        if let older = held.olderBlock {
            // Otherwise a power cut could take the older head, which is overwritten, and never have had the newest.
            try keepNewest(of: held)
            try overwrite(older, with: head.anchored)
        } else {
            try replace(with: head.anchored)
        }
    }

    private func keepNewest(of held: Held) throws(AnchorError) {
        guard waitedFor.head.withLock({ $0 }) != held.newest else { return }
        if let older = held.olderBlock {
            // Written anew, since after an fdatasync that failed the next one has nothing to write.
            try overwrite(1 - older, with: held.newest)
        } else {
            try replace(with: held.newest)
        }
    }

    // MARK: The file

    private struct Held {
        let newest: AnchoredHead
        /// Where the next head is written; nil in a file of the layout of before, which is replaced whole.
        let olderBlock: Int?
    }

    private static func text(_ head: AnchoredHead, heading: String = heading) -> String {
        "\(heading)\nepoch \(head.epoch)\nhash \(head.hash.hex)\n"
    }

    /// The text, a check over it, and empty lines.
    private static func block(_ head: AnchoredHead) -> [UInt8] {
        let text = text(head)
        let lines = Array("\(text)check \(Hex.encode(sha256(Array(text.utf8))))\n".utf8)
        return lines + [UInt8](repeating: 0x0a, count: blockBytes - lines.count)
    }

    private static func twoBlocks(_ head: AnchoredHead) -> [UInt8] { block(head) + block(head) }

    private func read() throws(AnchorError) -> Held {
        let bytes: [UInt8]
        do throws(PrivateFile.Failure) { bytes = try PrivateFile.read(path, bytesMax: 2 * Self.blockBytes) } catch {
            switch error {
            // Its disk may not be mounted.
            case .system(let text): throw .unavailable(text)
            case .notPrivate: throw .damaged("\(path) is open to others, or another user's")
            case .notPlain, .exists: throw .damaged("\(path) is not an anchor")
            }
        }
        if bytes.count < Self.blockBytes, let head = Self.head(in: bytes, heading: Self.headingOfOneText),
            Self.text(head, heading: Self.headingOfOneText).utf8.elementsEqual(bytes)
        {
            return Held(newest: head, olderBlock: nil)
        }
        guard bytes.count == 2 * Self.blockBytes else { throw .damaged("\(path) is not an anchor") }
        if let known = lastRead.held(in: bytes) { return known }
        let held = try held(in: bytes)
        lastRead.file.withLock { $0 = (bytes, held) }
        return held
    }

    private func held(in bytes: [UInt8]) throws(AnchorError) -> Held {
        let blocks = [bytes[..<Self.blockBytes], bytes[Self.blockBytes...]].map { Self.head(inBlock: Array($0)) }
        switch (blocks[0], blocks[1]) {
        case (let first?, let second?):
            guard first.epoch != second.epoch || first == second else { throw .damaged("\(path) is not an anchor") }
            return first.epoch < second.epoch
                ? Held(newest: second, olderBlock: 0) : Held(newest: first, olderBlock: 1)
        // The other one was torn by a power cut while it was written.
        case (let first?, nil): return Held(newest: first, olderBlock: 1)
        case (nil, let second?): return Held(newest: second, olderBlock: 0)
        case (nil, nil): throw .damaged("\(path) is not an anchor")
        }
    }

    /// One block for each head: what was altered by hand, or torn, does not pass.
    private static func head(inBlock bytes: [UInt8]) -> AnchoredHead? {
        head(in: bytes, heading: heading).flatMap { block($0) == bytes ? $0 : nil }
    }

    private static func head(in bytes: [UInt8], heading: String) -> AnchoredHead? {
        let lines = String(decoding: bytes.prefix(textBytesMax), as: UTF8.self).split(separator: "\n")
        guard lines.count >= 3, lines[0] == heading else { return nil }
        let words = lines[1...2].map { $0.split(separator: " ").last ?? "" }
        guard let epoch = UInt64(words[0]), let hash = try? HeadHash(hex: words[1]) else { return nil }
        return AnchoredHead(epoch: epoch, hash: hash)
    }

    private func overwrite(_ block: Int, with head: AnchoredHead) throws(AnchorError) {
        let bytes = Self.block(head)
        let file = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC)
        guard file >= 0 else { throw Self.system(path) }
        defer { close(file) }
        guard pwrite(file, bytes, bytes.count, off_t(block * Self.blockBytes)) == bytes.count, fdatasync(file) == 0
        else { throw Self.system(path) }
        waitedFor.head.withLock { $0 = head }
        lastRead.file.withLock { last in
            guard var file = last?.bytes, file.count == 2 * Self.blockBytes else { return }
            // Taken out, so that it is changed in place.
            last = nil
            file.replaceSubrange(block * Self.blockBytes..<(block + 1) * Self.blockBytes, with: bytes)
            last = (file, Held(newest: head, olderBlock: 1 - block))
        }
    }

    /// The new file is on the medium before it takes the old one's name, and the name before anyone is answered.
    private func replace(with head: AnchoredHead) throws(AnchorError) {
        let bytes = Self.twoBlocks(head)
        do throws(PrivateFile.Failure) { try PrivateFile.replace(path, bytes) } catch { throw .unavailable("\(error)") }
        waitedFor.head.withLock { $0 = head }
    }

    private static func system(_ path: String) -> AnchorError {
        .unavailable("\(path): \(String(cString: strerror(errno)))")
    }
}
