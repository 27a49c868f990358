import BackupFormat
import ByteCoding
import Primitives
import TestSupport
import Testing

@Suite struct `A snapshot` {
    private let snapshot: Snapshot
    private let keyring: Keyring
    private let object: [UInt8]

    init() throws {
        var generator = SeededGenerator(seed: 21)
        keyring = Keyring(createdSeconds: 5, using: &generator)
        var totals = Snapshot.Totals()
        totals.files = 3
        totals.skipped = 1
        snapshot = Snapshot(
            number: 12, id: id, beganSeconds: 100, endedSeconds: 200, previous: .none, source: "/home/é",
            totals: totals,
            skipped: [Skipped(path: [0xff], reason: .notAFile)],
            root: Entry(name: Entry.rootName, metadata: metadata, kind: .directory(.empty)))
        object = try snapshot.sealed(epoch: keyring.current, store: store, using: &generator)
    }

    private var name: SnapshotName { SnapshotName(number: 12, id: id) }

    private func open(_ object: [UInt8]) throws -> Snapshot {
        try Snapshot.open(object, name: name, keyring: keyring, store: store)
    }

    @Test func `opens from either copy, and its size tells little`() throws {
        #expect(try open(object) == snapshot)
        #expect(object.count == 2 * ObjectCipher.objectBytes(plaintextBytes: 1_024))
        for half in [0..<object.count / 2, object.count / 2..<object.count] {
            var damaged = object
            for place in half { damaged[place] = 0 }
            #expect(try open(damaged) == snapshot)
        }
        #expect(throws: SealedObjectError.self) { try open([UInt8](repeating: 0, count: object.count)) }
    }

    @Test func `opens with any single bit changed, and with no two in both copies`() throws {
        var generator = SeededGenerator(seed: 22)
        let half = object.count / 2
        for place in object.indices {
            var damaged = object
            damaged[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            #expect(try open(damaged) == snapshot)
            damaged[(place + half) % object.count] ^= 1
            #expect(throws: SealedObjectError.self) { try open(damaged) }
        }
    }

    @Test func `does not open when cut, under another name, or in another store`() throws {
        for count in stride(from: 0, to: object.count, by: 7) {
            #expect(throws: SealedObjectError.self) { try open(Array(object[..<count])) }
        }
        for other in [
            SnapshotName(number: 13, id: id), SnapshotName(number: 12, id: ObjectID(uncheckedBytes: Array(0..<16))),
        ] {
            #expect(throws: SealedObjectError.notThisObject) {
                try Snapshot.open(object, name: other, keyring: keyring, store: store)
            }
        }
        let otherStore = StoreID(uncheckedBytes: Array(1..<17))
        #expect(throws: SealedObjectError.self) {
            try Snapshot.open(object, name: name, keyring: keyring, store: otherStore)
        }
    }

    @Test func `has one encoding, a directory for its root, and a number`() throws {
        let bytes = try snapshot.encoded()
        #expect(try Snapshot(decoding: bytes) == snapshot)
        for count in bytes.indices {
            #expect(throws: ByteCodingError.self) { try Snapshot(decoding: Array(bytes[..<count])) }
        }
        var bad = snapshot
        bad.number = 0
        #expect(throws: ByteCodingError.invalidValue) { try Snapshot(decoding: bad.encoded()) }
        bad = snapshot
        bad.root.name = Array("x".utf8)
        #expect(throws: ByteCodingError.invalidValue) { try Snapshot(decoding: bad.encoded()) }
        bad = snapshot
        bad.root.kind = .symbolicLink(target: [1])
        #expect(throws: ByteCodingError.invalidValue) { try Snapshot(decoding: bad.encoded()) }
    }

    @Test func `its hash covers every field and is labelled`() throws {
        let hash = try snapshot.hash()
        #expect(hash.bytes == sha256(Array("coffer-v1 snapshot".utf8) + (try snapshot.encoded())))
        var other = snapshot
        other.endedSeconds += 1
        #expect(try other.hash() != hash)
        other = snapshot
        other.root.metadata.owner += 1
        #expect(try other.hash() != hash)
    }
}

@Suite struct `A keyring` {
    @Test func `opens under its own key, number and store, and under nothing else`() throws {
        var generator = SeededGenerator(seed: 31)
        let backupKey = BackupKey.random(using: &generator)
        let keyring = Keyring(number: 3, createdSeconds: 5, using: &generator)
        let object = try keyring.sealed(under: backupKey, store: store, using: &generator)
        let copy = try keyring.sealed(under: backupKey, store: store, using: &generator)
        #expect(object.count == ObjectCipher.objectBytes(plaintextBytes: 1_024) && object != copy)
        let opened = try Keyring.open(object, number: 3, under: backupKey, store: store)
        #expect(
            opened.chunkIDKey.isEqual(to: keyring.chunkIDKey) && opened.current.key.isEqual(to: keyring.current.key))
        #expect(opened.current.number == 1 && opened.current.createdSeconds == 5)
        #expect(opened.key(ofEpoch: 2) == nil)
        #expect(throws: SealedObjectError.malformed) {
            try Keyring.open(object, number: 4, under: backupKey, store: store)
        }
        let other = BackupKey.random(using: &generator)
        #expect(throws: SealedObjectError.altered(frame: 0)) {
            try Keyring.open(object, number: 3, under: other, store: store)
        }
        for place in object.indices {
            var altered = object
            altered[place] ^= 0x20
            #expect(throws: SealedObjectError.self) {
                try Keyring.open(altered, number: 3, under: backupKey, store: store)
            }
            #expect(throws: SealedObjectError.self) {
                try Keyring.open(Array(object[..<place]), number: 3, under: backupKey, store: store)
            }
        }
    }

    @Test func `epochs are there, rise, and begin above 0`() throws {
        func keyring(_ numbers: [UInt32]) throws -> [UInt8] {
            var writer = ByteWriter()
            writer.uint32(1)
            writer.raw([UInt8](repeating: 1, count: 32))
            try writer.list(numbers, 0...0xffff) { number, writer in
                writer.uint32(number)
                writer.uint64(9)
                writer.raw([UInt8](repeating: 2, count: 32))
            }
            return writer.bytes
        }
        #expect(try Keyring(decoding: keyring([1, 2, 9])).current.number == 9)
        for bad: [UInt32] in [[], [0], [2, 1], [1, 1]] {
            #expect(throws: ByteCodingError.self) { try Keyring(decoding: keyring(bad)) }
        }
    }

    @Test func `names chunks by a keyed hash`() throws {
        var writer = ByteWriter()
        writer.uint32(1)
        writer.raw(Array(0x40..<0x60))
        writer.uint16(44)
        writer.uint32(1)
        writer.raw([UInt8](repeating: 0, count: 40))
        let keyring = try Keyring(decoding: writer.bytes)
        #expect(
            Array("abc".utf8).withUnsafeBytes { keyring.chunkID(of: $0) }.hex
                == "910f4315f170bdf2f5a197d760828322c22cf67c043b7df72b6920db6e4caf97")
    }
}

@Suite struct `The header` {
    @Test func `its tag is what an independent program computes from the specification`() throws {
        let backupKey = try BackupKey(secret: key)
        let header = StoreHeader(store: store, fleet: "f é")
        #expect(
            Hex.encode(try header.tag(under: backupKey))
                == "fc44e6ee3bc3bf8be10925181cd70a21ea84b0959511a9b8bf4b8cca68a49e6b")
        let alone = StoreHeader(store: store, fleet: nil)
        let tag = try alone.tag(under: backupKey)
        #expect(Hex.encode(tag) == "f5d549b0ca3a3b1f3429f090216f1af17bd17cae52bc5cd50c6a551bdad49297")
        #expect(alone.isAuthentic(tag: tag, under: backupKey))
        #expect(!header.isAuthentic(tag: tag, under: backupKey))
        #expect(!StoreHeader(store: store, fleet: "").isAuthentic(tag: tag, under: backupKey))
        #expect(!alone.isAuthentic(tag: Array(tag.dropLast()), under: backupKey))
        #expect(!alone.isAuthentic(tag: [], under: backupKey))
    }
}

@Suite struct `The 64-digit key` {
    private func parse(_ text: String) throws(BackupKeyError) -> BackupKey {
        try BackupKey(digits: SecretBytes(copying: Array(text.utf8)))
    }

    @Test func `comes back from its groups, in any dress`() throws {
        var generator = SeededGenerator(seed: 41)
        for _ in 0..<50 {
            let backupKey = BackupKey.random(using: &generator)
            let groups = Array(backupKey.revealGroups().prefix(16))
            #expect(groups.joined() == backupKey.revealDigits() && groups.allSatisfy { $0.count == 4 })
            for text in [
                groups.joined(), groups.joined(separator: " "), groups.joined(separator: "-").uppercased(),
                "\t" + groups.joined(separator: "\r\n") + "\n", groups.joined().map { "\($0) " }.joined(),
            ] {
                #expect(try parse(text).secret.isEqual(to: backupKey.secret))
            }
        }
    }

    @Test func `says where a character is wrong, as a person counts, and how many digits there are`() {
        let digits = String(repeating: "0123 4567 89ab cdef ", count: 4)
        #expect(throws: BackupKeyError.character(group: 1, position: 1)) { try parse("g" + digits.dropFirst()) }
        #expect(throws: BackupKeyError.character(group: 2, position: 3)) {
            try parse(digits.replacing("4567", with: "45o7", maxReplacements: 1))
        }
        #expect(throws: BackupKeyError.character(group: 16, position: 4)) { try parse(digits.dropLast(2) + "é") }
        #expect(throws: BackupKeyError.length(digits: 63)) { try parse(String(digits.dropLast(2))) }
        #expect(throws: BackupKeyError.length(digits: 65)) { try parse(digits + "0") }
        #expect(throws: BackupKeyError.length(digits: 0)) { try parse("") }
        #expect(throws: BackupKeyError.length(digits: 1_000_000)) {
            try parse(String(repeating: "0", count: 1_000_000))
        }
        #expect(throws: BackupKeyError.length(digits: 62)) {
            try BackupKey(secret: SecretBytes(copying: [UInt8](repeating: 0, count: 31)))
        }
    }
}

@Suite struct `An object's name` {
    @Test func `comes back from its path`() throws {
        let names: [ObjectName] = [
            .header, .keyring(number: 1, copy: .a), .keyring(number: 99_999_999, copy: .b), .pack(id), .index(id),
            .snapshot(SnapshotName(number: 7, id: id)),
        ]
        for name in names { #expect(ObjectName(path: name.path) == name) }
        #expect(names[3].path == "packs/10/101112131415161718191a1b1c1d1e1f")
        #expect(names[5].path == "snapshots/00000007-101112131415161718191a1b1c1d1e1f")
    }

    @Test(arguments: [
        "", "/", "coffer.json/", "Coffer.json", "keyring/1-a", "keyring/00000001-c", "keyring/00000001-a-b",
        "keyring/0000000١-a", "keyring/+0000001-a", "packs/101112131415161718191a1b1c1d1e1f",
        "packs/11/101112131415161718191a1b1c1d1e1f", "packs/1/101112131415161718191a1b1c1d1e1f",
        "packs/10/101112131415161718191A1B1C1D1E1F", "packs/10/101112131415161718191a1b1c1d1e", "packs/10/../10",
        "index/101112131415161718191a1b1c1d1e1f.tmp", "index/.writing-1",
        "snapshots/7-101112131415161718191a1b1c1d1e1f",
        "snapshots/00000007-101112131415161718191a1b1c1d1e1f/x", "index//101112131415161718191a1b1c1d1e1f",
    ])
    func `anything else is somebody else's file`(path: String) { #expect(ObjectName(path: path) == nil) }

    @Test func `snapshots are in the order of their numbers, then of their ids`() {
        let low = ObjectID(uncheckedBytes: [UInt8](repeating: 0, count: 16))
        let names = [SnapshotName(number: 2, id: low), .init(number: 1, id: id), .init(number: 1, id: low)]
        #expect(names.sorted() == [names[2], names[1], names[0]])
    }
}
