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

    /// Addresses of places that hold nothing.
    private static let free = Mutex<[UInt]>([])

    static func take() -> UnsafeMutableRawPointer {
        let address = free.withLock { free -> UInt in
            if let last = free.popLast() { return last }
            guard let base = sodium_malloc(placeBytes * placesPerAllocation) else {
                preconditionFailure("out of memory for secrets")
            }
            // sodium_malloc's filling is not zeros, as a place that was used before has them.
            sodium_memzero(base, placeBytes * placesPerAllocation)
            let first = UInt(bitPattern: base)
            for place in 1..<UInt(placesPerAllocation) { free.append(first + place * UInt(placeBytes)) }
            return first
        }
        guard let place = UnsafeMutableRawPointer(bitPattern: address) else {
            preconditionFailure("a place for a secret without an address")
        }
        return place
    }

    static func giveBack(_ place: UnsafeMutableRawPointer) {
        sodium_memzero(place, placeBytes)
        free.withLock { $0.append(UInt(bitPattern: place)) }
    }
}
