import CSodium

/// Secret bytes: they do not print, are never copied by passing them on, and are wiped when the last holder lets go.
///
/// The storage comes from `sodium_malloc`: between guard pages, locked into memory where the system allows it, and
/// left out of core dumps; short secrets share such pages (`SecretPages`). Whoever reads the bytes does it inside `withBytes`, which is what to grep for.
package final class SecretBytes: Sendable {
    // Written only in `init`, before anyone else holds the object, and never moved; so it may be shared.
    private nonisolated(unsafe) let storage: UnsafeMutableRawBufferPointer

    /// Fills `count` bytes in place.
    package init(count: Int, filling fill: (UnsafeMutableRawBufferPointer) throws -> Void) rethrows {
        Sodium.start()
        storage = UnsafeMutableRawBufferPointer(start: Self.place(count), count: count)
        // If it throws, the object is complete already, and `deinit` frees and wipes the storage.
        try fill(storage)
    }

    /// Takes bytes over and wipes the array they came in (of which the caller holds the only reference).
    package convenience init(wiping bytes: inout [UInt8]) {
        self.init(count: bytes.count) { $0.copyBytes(from: bytes) }
        bytes.wipe()
    }

    /// Copies public or soon-forgotten bytes; prefer `init(wiping:)`.
    package convenience init(copying bytes: some Collection<UInt8>) {
        self.init(count: bytes.count) { $0.copyBytes(from: bytes) }
    }

    /// New random bytes.
    package static func random(_ count: Int, using generator: inout some RandomNumberGenerator) -> SecretBytes {
        SecretBytes(count: count) { buffer in generator.fill(buffer) }
    }

    deinit {
        guard let base = storage.baseAddress else { return }
        if storage.count <= SecretPages.placeBytes {
            SecretPages.giveBack(base)
        } else {
            // It wipes before it unmaps.
            sodium_free(base)
        }
    }

    private static func place(_ count: Int) -> UnsafeMutableRawPointer {
        if count <= SecretPages.placeBytes { return SecretPages.take() }
        // As in SecretPages: nothing can go on safely.
        guard let base = sodium_malloc(count) else { preconditionFailure("out of memory for secrets") }
        return base
    }

    package var count: Int { storage.count }

    /// Lends the bytes. They must not leave the closure other than into another secret or a primitive.
    package func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(storage))
    }

    /// Equality in time that depends on the lengths alone.
    package func isEqual(to other: SecretBytes) -> Bool {
        guard count == other.count else { return false }
        return sodium_memcmp(storage.baseAddress, other.storage.baseAddress, count) == 0
    }
}

extension SecretBytes: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "<\(count) secret bytes>" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

extension [UInt8] {
    /// Overwrites the bytes in place, in a way that the optimiser may not drop.
    package mutating func wipe() {
        withUnsafeMutableBytes { sodium_memzero($0.baseAddress, $0.count) }
    }
}

/// Equality of public byte strings in time that depends on the lengths alone (tags, digests, proofs).
package func constantTimeEquals(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    guard left.count == right.count else { return false }
    return sodium_memcmp(left, right, left.count) == 0
}

/// libsodium wants to be started once before anything else; starting it again does nothing.
enum Sodium {
    private static let started: Void = {
        guard sodium_init() >= 0 else { preconditionFailure("libsodium could not start: no source of randomness") }
    }()

    static func start() { _ = started }
}
