import BackupFormat
import ByteCoding
import Foundation
import Primitives
import TestSupport
import Testing

@Suite struct `A head` {
    private struct Vectors: Decodable {
        struct Head: Decodable {
            let number, keyring: UInt32
            let endedSeconds, hash, headerTag, key, store, content, sealed: String
        }
        struct Refused: Decodable { let key, store, sealed: String }

        let heads: [Head]
        let refused: [Refused]
    }

    private static let vectors = Result {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..")
        let file = root.appending(path: "Specs/vectors/backup/head.json")
        return try JSONDecoder().decode(Vectors.self, from: Data(contentsOf: file))
    }

    private func key(_ digits: String) throws -> BackupKey {
        try BackupKey(secret: SecretBytes(copying: try Hex.decode(digits)))
    }

    @Test func `is sealed as an independent program seals it from the specification`() throws {
        let vectors = try Self.vectors.get()
        #expect(vectors.heads.count == 3 && vectors.refused.count == 1)
        for vector in vectors.heads {
            let head = BackupHead(
                number: vector.number, endedSeconds: try #require(UInt64(vector.endedSeconds)),
                hash: try SnapshotHash(hex: vector.hash), keyring: vector.keyring,
                headerTag: try Hex.decode(vector.headerTag))
            let (key, store) = (try key(vector.key), try StoreID(hex: vector.store))
            #expect(Hex.encode(try head.encoded()) == vector.content)
            let sealed = try head.sealed(for: store, under: key)
            #expect(Hex.encode(sealed) == vector.sealed && sealed.count == 64)
            #expect(BackupHead.open(sealed, for: store, under: key) == head)
        }
        for vector in vectors.refused {
            let sealed = try Hex.decode(vector.sealed)
            #expect(try BackupHead.open(sealed, for: StoreID(hex: vector.store), under: key(vector.key)) == nil)
        }
    }

    @Test func `does not open bent, cut, under another key or for another store`() throws {
        let vector = try Self.vectors.get().heads[1]
        let (key, store) = (try key(vector.key), try StoreID(hex: vector.store))
        let sealed = try Hex.decode(vector.sealed)
        for place in sealed.indices {
            var bent = sealed
            bent[place] ^= 1
            #expect(BackupHead.open(bent, for: store, under: key) == nil)
            #expect(BackupHead.open(Array(sealed[..<place]), for: store, under: key) == nil)
        }
        #expect(BackupHead.open(sealed + [0], for: store, under: key) == nil)
        var generator = SeededGenerator(seed: 3)
        #expect(BackupHead.open(sealed, for: try StoreID(generator.bytes(16)), under: key) == nil)
        #expect(BackupHead.open(sealed, for: store, under: .random(using: &generator)) == nil)
    }

    @Test func `of two with one number every vault comes to keep the same one`() throws {
        let (small, large) = (head(7, hash(1)), head(7, hash(2)))
        #expect(large.isAsNew(as: small) && !small.isAsNew(as: large) && small.isAsNew(as: small))
        #expect(large.makesNeedless(small) && !small.makesNeedless(large) && small.makesNeedless(small))
        #expect(head(8, hash(0)).isAsNew(as: large) && !large.isAsNew(as: head(8, hash(0))))
    }
}

extension `A head` {
    @Test func `after the key, the keyring or the header was replaced it is of the same snapshot and set anew`() throws
    {
        var generator = SeededGenerator(seed: 5)
        let (key, store) = (BackupKey.random(using: &generator), try StoreID(generator.bytes(16)))
        let header = StoreHeader(store: store, fleet: "fleet = 1")
        let old = head(7, hash(7))
        let new = try old.renewed(keyring: 2, header: header, key: key)
        #expect(new.number == 7 && new.endedSeconds == old.endedSeconds && new.names(hash(7)))
        let tag = try header.tag(under: key)
        #expect(new.keyring == 2 && new.header == Array(tag.prefix(4)))
        #expect(new.isAsNew(as: old) && old.isAsNew(as: new))
        #expect(!old.makesNeedless(new), "a vault that keeps the old one is told the new one")
    }
}

private func hash(_ byte: UInt8) -> SnapshotHash { SnapshotHash(uncheckedBytes: [UInt8](repeating: byte, count: 32)) }

private func head(_ number: UInt32, _ hash: SnapshotHash) -> BackupHead {
    BackupHead(number: number, endedSeconds: 5, hash: hash, keyring: 1, headerTag: [1, 2, 3, 4])
}

/// Snapshots whose hash is their number, each after the one before.
private func chain(_ numbers: UInt32...) -> [ShownSnapshots.Shown] {
    numbers.map {
        ShownSnapshots.Shown(number: $0, hash: hash(UInt8($0)), previous: $0 == 1 ? .none : hash(UInt8($0) - 1))
    }
}

@Suite struct `What heads say of a store` {
    private func verdict(_ heads: [BackupHead], _ shown: ShownSnapshots) -> HeadVerdict? {
        HeadVerdict(heads, shown: shown)
    }

    private let seven = head(7, hash(7))

    @Test func `nothing without heads`() {
        #expect(verdict([], ShownSnapshots(readable: chain(1, 2))) == nil)
    }

    @Test func `it is current if the head's snapshot is there, or a newer one that was made after it`() {
        #expect(verdict([seven], ShownSnapshots(readable: chain(7))) == .current)
        #expect(verdict([seven], ShownSnapshots(readable: chain(6, 7, 8, 9))) == .current)
        #expect(verdict([seven], ShownSnapshots(readable: chain(8))) == .current)
        #expect(verdict([seven], ShownSnapshots(readable: chain(8, 7), unreadable: [9])) == .current)
        // Pruned, with something newer left.
        #expect(verdict([seven], ShownSnapshots(readable: chain(9), removed: [hash(7)])) == .current)
    }

    @Test func `an older state is one in which nothing as new can be read`() {
        #expect(verdict([seven], ShownSnapshots(readable: chain(4, 5, 6))) == .older(seven, newest: 6))
        #expect(verdict([seven], ShownSnapshots()) == .older(seven, newest: 0))
        // A removal alone does not stand for what came in its place.
        #expect(verdict([seven], ShownSnapshots(readable: chain(6), removed: [hash(7)])) == .older(seven, newest: 6))
        // Garbage under a high number is no newer snapshot.
        #expect(verdict([seven], ShownSnapshots(readable: chain(5), unreadable: [9])) == .older(seven, newest: 5))
    }

    @Test func `another history is one that is as new and was not made after it`() {
        let fork = ShownSnapshots.Shown(number: 7, hash: hash(70), previous: hash(6))
        #expect(verdict([seven], ShownSnapshots(readable: [fork] + chain(6))) == .otherHistory(seven))
        let next = ShownSnapshots.Shown(number: 8, hash: hash(80), previous: hash(70))
        #expect(verdict([seven], ShownSnapshots(readable: [fork, next])) == .otherHistory(seven))
        // With two held back, nothing shown was made after the head.
        #expect(verdict([seven], ShownSnapshots(readable: chain(9))) == .otherHistory(seven))
        // A hash of 7 in an older snapshot's place says nothing.
        let odd = ShownSnapshots.Shown(number: 6, hash: hash(60), previous: hash(7))
        #expect(verdict([seven], ShownSnapshots(readable: [odd])) == .older(seven, newest: 6))
    }

    @Test func `a snapshot that is there and cannot be read is damaged, not missing`() {
        #expect(verdict([seven], ShownSnapshots(readable: chain(6), unreadable: [7])) == .damaged(seven, newest: 6))
        #expect(verdict([seven], ShownSnapshots(unreadable: [7])) == .damaged(seven, newest: 0))
    }

    @Test func `of several heads the highest number counts, and of two with it the worse`() {
        let orphan = head(6, hash(66))
        #expect(verdict([orphan, seven, orphan], ShownSnapshots(readable: chain(7))) == .current)
        #expect(
            verdict([head(8, hash(8)), seven], ShownSnapshots(readable: chain(7)))
                == .older(head(8, hash(8)), newest: 7))
        let twin = head(7, hash(77))
        #expect(verdict([seven, twin], ShownSnapshots(readable: chain(7))) == .otherHistory(twin))
        let both = chain(7) + [ShownSnapshots.Shown(number: 7, hash: hash(77), previous: hash(6))]
        #expect(verdict([seven, twin], ShownSnapshots(readable: both)) == .current)
    }
}
