package import ByteCoding

/// What an anchor keeps of a head.
package struct AnchoredHead: ByteCodable, Hashable, Sendable {
    package let epoch: UInt64
    package let hash: HeadHash

    package init(epoch: UInt64, hash: HeadHash) {
        self.epoch = epoch
        self.hash = hash
    }

    /// Of a vault that has committed nothing yet.
    package static let none = AnchoredHead(epoch: 0, hash: .none)

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        epoch = try reader.uint64()
        hash = try HeadHash(from: &reader)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint64(epoch)
        try hash.encode(into: &writer)
    }
}

/// Why a store is not served, whatever else is right with it. Nothing was changed, and nothing is lost: with the store
/// that belongs to the anchor the vault serves again.
package enum Rollback: Error, Equatable, Sendable {
    /// The store is an older one: put back from a copy, or a machine from its snapshot.
    case storeIsBehind(storeEpoch: UInt64, anchoredEpoch: UInt64)
    /// Both are at this epoch (or the store one ahead of it), and it is not the same history: two machines went on from
    /// one snapshot, or somebody's store was put in place of another.
    case anotherBranch(storeEpoch: UInt64, anchoredEpoch: UInt64)
    /// The store is more than one ahead, which a crash cannot do: the anchor was put back, or is another vault's.
    case anchorIsBehind(storeEpoch: UInt64, anchoredEpoch: UInt64)
}

/// What a store and its anchor mean together.
package enum Standing: Equatable, Sendable {
    /// The anchor holds the store's head.
    case current
    /// The last batch was committed, and the anchor has not heard of it: a crash came in between.
    case oneAhead
    case refused(Rollback)

    /// Judges the store's head, whose authentication code was verified before: an unkeyed head could be forged one epoch
    /// ahead by whoever holds the disk, and the vault would then anchor the forgery itself.
    ///
    /// `anchored` is every head that the anchor knows of (witnesses may differ); one above the store's is enough to
    /// refuse, and so is one beside its history.
    package init(of store: KeyedHead, anchored: [AnchoredHead]) {
        let epoch = store.head.epoch
        let heads = anchored.isEmpty ? [.none] : anchored
        let highest = heads.map(\.epoch).max() ?? 0
        func refused(_ make: (UInt64, UInt64) -> Rollback) -> Standing { .refused(make(epoch, highest)) }
        if highest > epoch {
            self = refused(Rollback.storeIsBehind)
        } else if heads.contains(where: { Self.contradicts($0, store) }) {
            self = refused(Rollback.anotherBranch)
        } else if highest == epoch {
            self = .current
        } else if highest == epoch - 1 {
            self = .oneAhead
        } else {
            self = refused(Rollback.anchorIsBehind)
        }
    }

    private static func contradicts(_ anchored: AnchoredHead, _ store: KeyedHead) -> Bool {
        if anchored.epoch == store.head.epoch { return anchored.hash != store.hash }
        // The store's epoch is above here, so this does not run over.
        if anchored.epoch + 1 == store.head.epoch { return anchored.hash != store.head.previous }
        return false
    }
}

extension Rollback: CustomStringConvertible {
    package var description: String {
        switch self {
        case .storeIsBehind(let store, let anchored):
            "the store is at epoch \(store), and its anchor remembers epoch \(anchored): "
                + "an older copy was put in its place"
        case .anotherBranch(let store, let anchored):
            "the store (epoch \(store)) has another history than its anchor (epoch \(anchored)): "
                + "it is a copy that went on by itself, or another vault's"
        case .anchorIsBehind(let store, let anchored):
            "the store is at epoch \(store), and its anchor remembers epoch \(anchored) alone: "
                + "the anchor was put back, or is another vault's"
        }
    }
}
