import ByteCoding
package import Primitives

/// SHA-256 of a leaf or of a node.
package struct MerkleHash: FixedBytes {
    package static let byteCount = 32
    package let bytes: [UInt8]
    package init(uncheckedBytes: [UInt8]) { bytes = uncheckedBytes }
}

/// The Merkle tree of RFC 9162 section 2.1.1 over any number of leaves, with all of its nodes, so that a changed or an
/// added leaf costs one path to the root.
///
/// A node is SHA-256(0x01 ‖ left ‖ right), so that none can pass for a leaf, which begins with 0x00. A node without a
/// partner moves up as it is: that is the RFC's split at the largest power of two.
package struct MerkleTree: Sendable {
    /// The leaves first, then each level over the one before, up to a level of one.
    private var levels: [DigestList]

    package init(_ leaves: [MerkleHash] = []) {
        var level = DigestList()
        for leaf in leaves { level.put(leaf.bytes, at: level.count) }
        self.init(level)
    }

    /// `leaves` are the leaves' hashes.
    package init(_ leaves: consuming DigestList) {
        levels = [leaves]
        while let level = levels.last, level.count > 1 {
            var above = DigestList()
            for parent in 0..<(level.count + 1) / 2 { above.putNode(at: parent, over: level) }
            levels.append(above)
        }
    }

    package var count: Int { levels[0].count }

    /// SHA-256 of nothing, if there are no leaves.
    package var root: MerkleHash {
        guard count > 0, let top = levels.last else { return MerkleHash(uncheckedBytes: sha256([])) }
        return MerkleHash(uncheckedBytes: top[0])
    }

    /// Nil beyond the last leaf.
    package func leaf(at index: Int) -> MerkleHash? {
        guard (0..<count).contains(index) else { return nil }
        return MerkleHash(uncheckedBytes: levels[0][index])
    }

    /// Replaces a leaf, or adds one behind the last. False, and nothing is changed, if there would be a gap.
    package mutating func put(_ leaf: MerkleHash, at index: Int) -> Bool { put([(leaf, at: index)]) }

    /// The same for several leaves, one after the other: a node above more than one of them is made once.
    package mutating func put(_ leaves: [(hash: MerkleHash, at: Int)]) -> Bool {
        var countThen = count
        for leaf in leaves {
            guard (0...countThen).contains(leaf.at) else { return false }
            countThen = max(countThen, leaf.at + 1)
        }
        for leaf in leaves { levels[0].put(leaf.hash.bytes, at: leaf.at) }
        // Ascending, so that a level that grows has no gap.
        var positions = leaves.map(\.at).sorted()
        var level = 0
        while levels[level].count > 1 {
            positions = Self.parents(of: positions)
            if level + 1 == levels.count { levels.append(DigestList()) }
            // Taken out, so that it is changed in place beside the level below.
            var above = DigestList()
            swap(&above, &levels[level + 1])
            for position in positions { above.putNode(at: position, over: levels[level]) }
            swap(&above, &levels[level + 1])
            level += 1
        }
        return true
    }

    /// Of ascending positions, each parent once.
    private static func parents(of positions: [Int]) -> [Int] {
        var parents: [Int] = []
        parents.reserveCapacity(positions.count)
        for position in positions where parents.last != position / 2 { parents.append(position / 2) }
        return parents
    }
}
