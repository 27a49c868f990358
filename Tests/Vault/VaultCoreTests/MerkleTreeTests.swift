import ByteCoding
import Primitives
import TestSupport
import Testing
import VaultCore

@Suite struct MerkleTreeTests {
    private func leafHash(_ data: [UInt8]) -> MerkleHash { MerkleHash(uncheckedBytes: sha256([0x00] + data)) }

    /// RFC 9162 section 2.1.1, as it is written there.
    private func root(_ leaves: ArraySlice<MerkleHash>) -> [UInt8] {
        guard let first = leaves.first else { return sha256([]) }
        if leaves.count == 1 { return first.bytes }
        var split = 1
        while split * 2 < leaves.count { split *= 2 }
        let middle = leaves.startIndex + split
        return sha256([0x01] + root(leaves[..<middle]) + root(leaves[middle...]))
    }

    private func randomLeaves(_ count: Int, using generator: inout SeededGenerator) -> [MerkleHash] {
        (0..<count).map { _ in MerkleHash(uncheckedBytes: generator.bytes(32)) }
    }

    @Test func `the root is the RFC's, for every number of leaves, made at once or one by one`() {
        var generator = SeededGenerator(seed: 1)
        let leaves = randomLeaves(70, using: &generator)
        var growing = MerkleTree()
        #expect(growing.root.bytes == sha256([]))
        for count in 1...leaves.count {
            let isPut = growing.put(leaves[count - 1], at: count - 1)
            #expect(isPut)
            let expected = root(leaves[..<count])
            #expect(growing.root.bytes == expected, "grown to \(count)")
            #expect(MerkleTree(Array(leaves[..<count])).root.bytes == expected, "made of \(count)")
        }
    }

    @Test func `the root is that of certificate transparency's known answers`() throws {
        let data = [
            "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
        ]
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ]
        var tree = MerkleTree()
        for (index, root) in roots.enumerated() {
            let isPut = tree.put(leafHash(try Hex.decode(data[index])), at: index)
            #expect(isPut && tree.root.hex == root)
        }
    }

    @Test func `a changed leaf changes the root, and changed back it is the old one`() throws {
        var generator = SeededGenerator(seed: 2)
        for count in [1, 2, 3, 5, 8, 13, 21] {
            let leaves = randomLeaves(count, using: &generator)
            let tree = MerkleTree(leaves)
            for index in 0..<count {
                var changed = tree
                var expected = leaves
                expected[index] = MerkleHash(uncheckedBytes: generator.bytes(32))
                let isChanged = changed.put(expected[index], at: index)
                #expect(isChanged && changed.root.bytes == root(expected[...]))
                let isPutBack = changed.put(leaves[index], at: index)
                #expect(isPutBack && changed.root == tree.root)
            }
        }
    }

    @Test func `leaves that are put at once make the tree that they make one after the other`() {
        var generator = SeededGenerator(seed: 5)
        for before in [0, 1, 2, 3, 7, 8, 20] {
            for added in [0, 1, 2, 5, 13] {
                let old = randomLeaves(before, using: &generator)
                let new = randomLeaves(added, using: &generator)
                var leaves = (0..<before).shuffled(using: &generator).prefix(3).map {
                    (hash: MerkleHash(uncheckedBytes: generator.bytes(32)), at: $0)
                }
                leaves += new.enumerated().map { (hash: $1, at: before + $0) }
                var (atOnce, single, expected) = (MerkleTree(old), MerkleTree(old), old + new)
                let isPut = atOnce.put(leaves)
                for leaf in leaves {
                    expected[leaf.at] = leaf.hash
                    let isPut = single.put(leaf.hash, at: leaf.at)
                    #expect(isPut)
                }
                #expect(isPut && atOnce.root.bytes == root(expected[...]), "\(before) and \(added)")
                #expect(atOnce.root == single.root && atOnce.count == before + added)
                let (whole, behind) = (
                    atOnce.root, atOnce.put([(expected.first ?? leafHash([1]), at: 0), (leafHash([2]), at: 50)])
                )
                #expect(!behind && atOnce.root == whole, "a gap: nothing is changed")
            }
        }
    }

    @Test func `no leaf is put behind a gap`() {
        var tree = MerkleTree()
        let (behind, before) = (tree.put(leafHash([1]), at: 1), tree.put(leafHash([1]), at: -1))
        #expect(!behind && !before && tree.count == 0)
        #expect(tree.leaf(at: 0) == nil)
    }
}

@Suite struct LeafIndexTests {
    private func record(_ key: UInt8, slot: UInt64, text: String = "sealed", due: UInt64? = nil) throws -> StoredRecord
    {
        StoredRecord(
            key: try RecordKey([UInt8](repeating: key, count: 32)), slot: slot, epoch: 1, sealed: Array(text.utf8),
            dueSeconds: due)
    }

    @Test func `presence and absence are proved, and every other answer of a store is named`() throws {
        let records = try (0..<3).map { try record($0, slot: UInt64($0), due: $0 == 1 ? 7 : nil) }
        let index = try LeafIndex(records.map(\.leaf))
        for stored in records { try index.check(stored, for: stored.key) }
        let absent = try record(9, slot: 3)
        try index.check(nil, for: absent.key)
        #expect(throws: LeafMismatch.unknownRecord) { try index.check(absent, for: absent.key) }
        #expect(throws: LeafMismatch.missing(slot: 1)) { try index.check(nil, for: records[1].key) }
        let others = [
            try record(1, slot: 1, text: "older", due: 7), try record(1, slot: 2, due: 7), try record(1, slot: 1),
            try record(1, slot: 1, due: 8), records[2],
        ]
        for other in others {
            #expect(throws: LeafMismatch.anotherRecord(slot: 1)) { try index.check(other, for: records[1].key) }
        }
    }

    @Test func `a record is in one slot, for ever`() throws {
        let records = try [record(0, slot: 0), record(1, slot: 1), record(0, slot: 2)]
        #expect(throws: LeafMismatch.sameRecordTwice(slot: 2)) { try LeafIndex(records.map(\.leaf)) }
        var index = try LeafIndex(records.prefix(2).map(\.leaf))
        let root = index.tree.root
        for wrong in try [record(0, slot: 1), record(5, slot: 0), record(5, slot: 3)] {
            #expect(throws: LeafMismatch.wrongSlot(slot: wrong.slot)) { try index.put(wrong) }
        }
        #expect(index.tree.root == root)
        try index.put(try record(5, slot: 2, due: 4))
        try index.put(try record(1, slot: 1, text: "newer", due: 3))
        #expect(try index.slotCount == 3 && index.slot(of: record(5, slot: 2).key) == 2)
        #expect(index.due(atSeconds: 4, limit: 9) == [try record(1, slot: 1).key, try record(5, slot: 2).key])
        #expect(index.due(atSeconds: 3, limit: 9).count == 1 && index.due(atSeconds: 9, limit: 1).count == 1)
    }

    /// Thousands, so that the table grows; and keys that begin alike, or at the table's very end, so that places are taken.
    @Test func `an index that grew, one that was read, and a dictionary agree`() throws {
        var generator = SeededGenerator(seed: 3)
        var records: [StoredRecord] = []
        var slots: [RecordKey: UInt64] = [:]
        var grown = try LeafIndex([])
        for slot in 0..<UInt64(9000) {
            var bytes = generator.bytes(32)
            switch slot % 7 {
            case 0: bytes.replaceSubrange(..<8, with: repeatElement(0xff, count: 8))
            case 1: bytes.replaceSubrange(..<8, with: repeatElement(UInt8(slot % 2), count: 8))
            default: break
            }
            let record = StoredRecord(
                key: try RecordKey(bytes), slot: slot, epoch: 1, sealed: generator.bytes(20),
                dueSeconds: slot % 5 == 0 ? .random(in: 0..<1000, using: &generator) : nil)
            try grown.put(record)
            records.append(record)
            slots[record.key] = slot
        }
        var read = try LeafIndex(records.map(\.leaf))
        #expect(grown.tree.root == read.tree.root && read.tree.root == MerkleTree(records.map(\.leaf.hash)).root)
        #expect(read.keys(0..<9000) == records.map(\.key))
        for key in records.map(\.key) { #expect(grown.slot(of: key) == slots[key] && read.slot(of: key) == slots[key]) }
        for _ in 0..<1000 {
            var bytes = generator.bytes(32)
            if bytes[31] < 128 { bytes.replaceSubrange(..<8, with: repeatElement(0xff, count: 8)) }
            let stranger = try RecordKey(bytes)
            #expect(grown.slot(of: stranger) == nil && read.slot(of: stranger) == nil)
        }
        let due = records.filter { ($0.dueSeconds ?? .max) <= 500 }
            .sorted { ($0.dueSeconds ?? 0, $0.slot) < ($1.dueSeconds ?? 0, $1.slot) }.map(\.key)
        for _ in 0..<2 {
            #expect(grown.due(atSeconds: 500, limit: 9000) == due && read.due(atSeconds: 500, limit: 9000) == due)
        }
    }

    @Test func `what is due no longer, is due later or is due at last is found as it is now`() throws {
        var index = try LeafIndex([])
        for number in 0..<UInt8(9) { try index.put(try record(number, slot: UInt64(number), due: 10)) }
        #expect(index.due(atSeconds: 9, limit: 9).isEmpty && index.due(atSeconds: 10, limit: 9).count == 9)
        for number in 0..<UInt8(8) { try index.put(try record(number, slot: UInt64(number), text: "newer")) }
        #expect(index.due(atSeconds: 10, limit: 9) == [try record(8, slot: 8).key])
        try index.put(try record(8, slot: 8, text: "newer", due: 30))
        #expect(index.due(atSeconds: 29, limit: 9).isEmpty)
        try index.put(try record(3, slot: 3, due: 5))
        #expect(index.due(atSeconds: 30, limit: 9) == [try record(3, slot: 3).key, try record(8, slot: 8).key])
    }
}
