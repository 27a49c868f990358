import ByteCoding
import CPKCS11
import Primitives
import Synchronization
package import VaultCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The newest head as a private data object in the token that opens the vault's data key.
///
/// A new object is whole before the old one is destroyed, so that at every moment there is a whole one, and a start that
/// finds two takes the newer. Nobody puts a real token back; SoftHSM's files anybody can who may write them.
package struct TokenAnchor: Anchor {
    private static let valueBytesMax = 1024

    private let token: Token
    private let id: TokenObjectID
    private let syncFolder: String?
    private let lockPath: String
    private let pace: Pace

    /// - Parameter lockPath: a file in the vault's folder. Tokens have no compare-and-swap; processes on one folder take
    ///   turns by it.
    package init(_ token: Token, settings: TokenSettings, lockPath: String) {
        self.token = token
        self.lockPath = lockPath
        id = settings.id
        syncFolder = settings.syncFolder
        pace = Pace(interval: .milliseconds(settings.anchorIntervalMilliseconds))
    }

    /// Makes the anchor of a vault that has committed nothing yet.
    package func create() throws(AnchorError) {
        try locked(LOCK_EX) { session throws(TokenError) in try create(.none, session) }
        try sync()
    }

    /// Hands the newest head over to another token. `commit` makes that the vault's; when it returns, this one's anchor is
    /// destroyed. A process that still uses this one waits meanwhile, and then finds no anchor and answers nobody.
    package func move(
        to other: TokenAnchor, commit: () throws(AnchorError) -> Void
    ) throws(AnchorError) {
        let lock = try lock(LOCK_EX)
        defer { close(lock) }
        let heads = try newest(in: try perform { session throws(TokenError) in try held(session) })
        guard heads.count == 1, let head = heads.first else { throw .moved }
        try other.perform { session throws(TokenError) in try other.create(head, session) }
        try other.sync()
        try commit()
        try perform { session throws(TokenError) in
            for object in try session.find(TokenObjects.anchor(id)) { try session.destroy(object) }
        }
    }

    package func heads() throws(AnchorError) -> [AnchoredHead] {
        try newest(in: try locked(LOCK_SH) { session throws(TokenError) in try held(session) })
    }

    package func advance(to head: KeyedHead) throws(AnchorError) {
        let anchored = head.anchored
        let objects = try locked(LOCK_EX) { session throws(TokenError) in try held(session) }
        let present = try newest(in: objects)
        if present == [anchored] {
            // Whoever wrote it may have been killed before it waited for the medium.
            try sync()
            if objects.count > 1 { sweep(below: anchored) }
            return
        }
        // Two of one epoch: machines that were both resumed from one snapshot have both written.
        guard present.count == 1, let last = present.first, last.epoch < .max, last.epoch + 1 == head.head.epoch,
            last.hash == head.head.previous
        else { throw .moved }
        pace.wait()
        try write(anchored)
        try sync()
        sweep(below: anchored)
    }

    // MARK: Objects

    private struct Held: Sendable {
        let object: UInt
        /// Nil: it was torn, or is not ours.
        let head: AnchoredHead?
    }

    private func held(_ session: TokenSession) throws(TokenError) -> [Held] {
        var found: [Held] = []
        for object in try session.find(TokenObjects.anchor(id)) {
            let value = try session.value(CKA_VALUE, of: object, bytesMax: Self.valueBytesMax)
            found.append(Held(object: object, head: value.flatMap { Self.head(in: $0, id) }))
        }
        guard !found.isEmpty else {
            throw TokenError(
                .missing,
                "It has no anchor of this vault (id \(id)): it was destroyed, or the token initialised anew. Nothing may be "
                    + "served without it.")
        }
        return found
    }

    private func create(_ head: AnchoredHead, _ session: TokenSession) throws(TokenError) {
        guard try session.find(TokenObjects.anchor(id)).isEmpty else {
            throw TokenError(.unfit, "It has an anchor of this id already, and nothing was changed. Try again.")
        }
        try session.create(TokenObjects.newAnchor(id, value: Self.value(of: head, id)))
    }

    /// The heads of the highest epoch: one, unless two machines have both gone on.
    private func newest(in objects: [Held]) throws(AnchorError) -> [AnchoredHead] {
        let heads = objects.compactMap(\.head)
        guard let epoch = heads.map(\.epoch).max() else {
            throw .damaged("\(token.name): its anchor of this vault (id \(id)) does not read")
        }
        var newest: [AnchoredHead] = []
        for head in heads where head.epoch == epoch && !newest.contains(head) { newest.append(head) }
        return newest
    }

    /// Compares once more, writes, and looks who else has written: without a compare-and-swap, of two machines that write
    /// at once each sees the other afterwards, and whoever sees another takes back its own.
    private func write(_ head: AnchoredHead) throws(AnchorError) {
        let isWritten = try locked(LOCK_EX) { session throws(TokenError) in
            // Also when the session ended in the middle and all this runs a second time.
            let before = try held(session).compactMap(\.head)
            if !before.contains(head) {
                guard before.allSatisfy({ $0.epoch < head.epoch }) else { return false }
                try session.create(TokenObjects.newAnchor(id, value: Self.value(of: head, id)))
            }
            let after = try held(session)
            guard after.contains(where: { ($0.head?.epoch ?? 0) >= head.epoch && $0.head != head }) else { return true }
            for own in after where own.head == head { try session.destroy(own.object) }
            return false
        }
        guard isWritten else { throw .moved }
    }

    /// Destroys what the head has taken the place of. What cannot be destroyed now is, after the next batch.
    private func sweep(below head: AnchoredHead) {
        try? locked(LOCK_EX) { session throws(TokenError) in
            var isKept = false
            for object in try held(session) {
                if object.head == head, !isKept {
                    isKept = true
                } else if object.head?.epoch ?? 0 <= head.epoch {
                    try session.destroy(object.object)
                }
            }
        }
    }

    // MARK: Bytes

    /// `struct { uint8 version = 1; opaque id[16]; AnchoredHead head; opaque check[32]; }`, the check over what is before it:
    /// it finds out what was torn. It is no authentication; whoever can write private objects has the PIN.
    static func value(of head: AnchoredHead, _ id: TokenObjectID) -> [UInt8] {
        // Fields of fixed sizes always have an encoding.
        let content = [1] + id.bytes + ((try? head.encoded()) ?? [])
        return content + check(content)
    }

    static func head(in value: [UInt8], _ id: TokenObjectID) -> AnchoredHead? {
        let checkBytes = 32
        guard value.count > 17 + checkBytes, value.starts(with: [1] + id.bytes) else { return nil }
        let content = Array(value.dropLast(checkBytes))
        guard check(content) == Array(value.suffix(checkBytes)) else { return nil }
        return try? AnchoredHead(decoding: Array(content[17...]))
    }

    private static func check(_ content: [UInt8]) -> [UInt8] {
        sha256((try? labelled(.tokenHead, content)) ?? [])
    }

    // MARK: Turns and the medium

    private func locked<Result: Sendable>(
        _ mode: Int32, _ body: (TokenSession) throws(TokenError) -> Result
    ) throws(AnchorError) -> Result {
        let lock = try lock(mode)
        defer { close(lock) }
        return try perform(body)
    }

    /// Waits for this vault's turn, which ends when the file is closed.
    private func lock(_ mode: Int32) throws(AnchorError) -> Int32 {
        let lock = open(lockPath, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw system() }
        guard flock(lock, mode) == 0 else {
            defer { close(lock) }
            throw system()
        }
        return lock
    }

    private func perform<Result: Sendable>(
        _ body: (TokenSession) throws(TokenError) -> Result
    ) throws(AnchorError) -> Result {
        do throws(TokenError) { return try token.perform(body) } catch {
            throw error.kind == .missing ? .damaged(error.text) : .unavailable(error.text)
        }
    }

    private func sync() throws(AnchorError) {
        guard let syncFolder else { return }
        do throws(PrivateFile.Failure) { try TokenFolder.sync(syncFolder) } catch {
            throw .unavailable("the token's files did not reach the disk: \(error)")
        }
    }

    private func system() -> AnchorError { .unavailable("\(lockPath): \(String(cString: strerror(errno)))") }
}

/// Bounds the writes of a token: its memory bears only so many. Commands that arrive meanwhile form the next batch, so that a
/// slower token makes larger batches, not fewer answers.
private final class Pace: Sendable {
    private let interval: Duration
    private let next = Mutex(ContinuousClock.now)

    init(interval: Duration) { self.interval = interval }

    /// Blocks until a write may begin.
    func wait() {
        let start = next.withLock { next in
            let start = max(next, .now)
            next = start + interval
            return start
        }
        let left = ContinuousClock.now.duration(to: start)
        guard left > .zero else { return }
        let (seconds, attoseconds) = left.components
        var time = timespec(tv_sec: Int(seconds), tv_nsec: Int(attoseconds / 1_000_000_000))
        var rest = timespec()
        // Interrupted by a signal, it goes on.
        while nanosleep(&time, &rest) != 0, errno == EINTR { time = rest }
    }
}
