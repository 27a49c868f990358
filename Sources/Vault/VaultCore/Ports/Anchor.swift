/// Why an anchor did not do what it was asked to.
package enum AnchorError: Error, Equatable {
    /// It cannot be asked now, or is not where it was. A head that was to be kept may be kept or not: ask again before
    /// building on it.
    case unavailable(String)
    /// It holds a head that is neither the new one nor the one before: another process went on, or this store is not
    /// the one that the anchor watched.
    case moved
    /// What it keeps does not read. Nothing may be served until an operator has looked.
    case damaged(String)

    package var text: String {
        switch self {
        case .unavailable(let text), .damaged(let text): text
        case .moved: "it holds another head"
        }
    }
}

/// Remembers the newest head outside the store, so that an older store does not pass for the present one.
///
/// Calls block until the medium, or enough witnesses, have answered.
package protocol Anchor: Sendable {
    /// Every head that it knows to be genuine. Empty: nothing was ever anchored.
    func heads() throws(AnchorError) -> [AnchoredHead]

    /// Returns when the head will be remembered whatever happens. Asking again for the same head is harmless; a head
    /// that does not follow the one that is held is refused with `moved`.
    func advance(to head: KeyedHead) throws(AnchorError)
}
