import CSodium
import Synchronization

/// Places for short secrets (scalars, keys), many to a page: an evaluation has a dozen of them, and a `sodium_malloc` for each
/// costs as much as a multiplication.
///
/// The pages come from `sodium_malloc`: locked into memory where the system allows it, left out of core dumps, with guard
/// pages around all of them (not between two secrets: nothing here writes beyond a count that was checked). A place is
/// wiped when it is given back. Pages are kept, so that there are as many as were needed at once.
enum SecretPages {
    static let placeBytes = 64
    private static let placesPerAllocation = 256

    /// A place that holds nothing. Only who took it out of the list knows it, so it may pass between threads.
    private struct Place: @unchecked Sendable { let start: UnsafeMutableRawPointer }

    private static let free = Mutex<[Place]>([])

    static func take() -> UnsafeMutableRawPointer {
        free.withLock { free -> Place in
            if let last = free.popLast() { return last }
            guard let base = sodium_malloc(placeBytes * placesPerAllocation) else {
                // Nothing can go on safely without a place for a secret, and no caller could do more about it.
                preconditionFailure("out of memory for secrets")
            }
            // sodium_malloc's filling is not zeros, as a place that was used before has them.
            sodium_memzero(base, placeBytes * placesPerAllocation)
            for place in 1..<placesPerAllocation { free.append(Place(start: base + place * placeBytes)) }
            return Place(start: base)
        }.start
    }

    static func giveBack(_ place: UnsafeMutableRawPointer) {
        sodium_memzero(place, placeBytes)
        free.withLock { $0.append(Place(start: place)) }
    }
}
