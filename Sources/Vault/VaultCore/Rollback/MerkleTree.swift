import ByteCoding
import Primitives

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
    private static let hashBytes = MerkleHash.byteCount
    /// Hashes one after the other: the leaves first, then each level over the one before, up to a level of one.
    private var levels: [[UInt8]]

    package init(_ leaves: [MerkleHash] = []) {
        var level: [UInt8] = []
        level.reserveCapacity(leaves.count * Self.hashBytes)
        for leaf in leaves { level += leaf.bytes }
        levels = [level]
        while level.count > Self.hashBytes {
            var above: [UInt8] = []
            above.reserveCapacity((level.count + 1) / 2 + Self.hashBytes)
            for parent in 0..<(level.count / Self.hashBytes + 1) / 2 { above += Self.node(parent, over: level) }
            levels.append(above)
            level = above
        }
    }

    package var count: Int { levels[0].count / Self.hashBytes }

    /// SHA-256 of nothing, if there are no leaves.
    package var root: MerkleHash {
        guard count > 0, let top = levels.last else { return MerkleHash(uncheckedBytes: sha256([])) }
        return MerkleHash(uncheckedBytes: top)
    }

    /// Nil beyond the last leaf.
    package func leaf(at index: Int) -> MerkleHash? {
        guard (0..<count).contains(index) else { return nil }
        return MerkleHash(uncheckedBytes: Array(Self.hash(index, in: levels[0])))
    }

    /// Replaces a leaf, or adds one behind the last. False, and nothing is changed, if there would be a gap.
    package mutating func put(_ leaf: MerkleHash, at index: Int) -> Bool {
        guard (0...count).contains(index) else { return false }
        Self.write(leaf.bytes, at: index, into: &levels[0])
        var (position, level) = (index, 0)
        while levels[level].count > Self.hashBytes {
            position /= 2
            let node = Self.node(position, over: levels[level])
            level += 1
            if level == levels.count { levels.append([]) }
            Self.write(node, at: position, into: &levels[level])
        }
        return true
    }

    private static func node(_ parent: Int, over level: [UInt8]) -> [UInt8] {
        let left = hash(parent * 2, in: level)
        guard (parent * 2 + 1) * hashBytes < level.count else { return Array(left) }
        return sha256([0x01] + left + hash(parent * 2 + 1, in: level))
    }

    private static func hash(_ index: Int, in level: [UInt8]) -> ArraySlice<UInt8> {
        level[index * hashBytes..<(index + 1) * hashBytes]
    }

    private static func write(_ hash: [UInt8], at index: Int, into level: inout [UInt8]) {
        let start = index * hashBytes
        if start == level.count {
            level += hash
        } else {
            level.replaceSubrange(start..<start + hashBytes, with: hash)
        }
    }
}
