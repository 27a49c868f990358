package import ByteCoding
import Primitives

/// What a device says of its newest snapshot, so that a store that shows an older state is found out (section 13).
package struct BackupHead: Equatable, Sendable {
    /// Of the snapshot's hash, and of the header's tag, as many bytes as the sealed form has room for. Nobody without
    /// the key makes another snapshot, so these need not withstand collisions.
    package static let hashBytes = 16
    package static let headerBytes = 4
    package static let sealedBytes = AES256GCM.nonceBytes + 36 + AES256GCM.tagBytes

    /// The snapshot's.
    package let number: UInt32
    package let endedSeconds: UInt64
    /// The beginning of its hash.
    package let hash: [UInt8]
    /// The number of the keyring that was in use.
    package let keyring: UInt32
    /// The beginning of the tag of `coffer.json`.
    package let header: [UInt8]

    package init(number: UInt32, endedSeconds: UInt64, hash: SnapshotHash, keyring: UInt32, headerTag: [UInt8]) {
        self.init(
            number: number, endedSeconds: endedSeconds, hash: Array(hash.bytes.prefix(Self.hashBytes)),
            keyring: keyring, header: Array(headerTag.prefix(Self.headerBytes)))
    }

    private init(number: UInt32, endedSeconds: UInt64, hash: [UInt8], keyring: UInt32, header: [UInt8]) {
        self.number = number
        self.endedSeconds = endedSeconds
        self.hash = hash
        self.keyring = keyring
        self.header = header
    }

    /// - Parameters:
    ///   - keyring: the number of the store's keyring.
    ///   - key: the key that authenticates the header.
    package init(
        _ snapshot: Snapshot, keyring: UInt32, header: StoreHeader, key: BackupKey
    ) throws(ByteCodingError) {
        self.init(
            number: snapshot.number, endedSeconds: snapshot.endedSeconds, hash: try snapshot.hash(), keyring: keyring,
            headerTag: try header.tag(under: key))
    }

    /// The same snapshot's head after K, the keyring or the header was replaced.
    package func renewed(
        keyring: UInt32, header: StoreHeader, key: BackupKey
    ) throws(ByteCodingError) -> BackupHead {
        BackupHead(
            number: number, endedSeconds: endedSeconds, hash: hash, keyring: keyring,
            header: Array(try header.tag(under: key).prefix(Self.headerBytes)))
    }

    /// Whether this is the head of a snapshot with that hash.
    package func names(_ hash: SnapshotHash) -> Bool { hash.bytes.starts(with: self.hash) }

    /// Whether whoever was told this need not be told `other`. Of two snapshots that were written under one number at
    /// the same moment every vault comes to keep the same one.
    package func isAsNew(as other: BackupHead) -> Bool {
        number == other.number ? !hash.lexicographicallyPrecedes(other.hash) : number > other.number
    }

    /// Whether a vault that keeps this one need not be told `other`: of the same snapshot it would be what was known
    /// before K, the keyring or the header was replaced.
    package func makesNeedless(_ other: BackupHead) -> Bool { self == other || !other.isAsNew(as: self) }
}

extension BackupHead: ByteCodable {
    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        number = try reader.uint32()
        endedSeconds = try reader.uint64()
        hash = try reader.fixed(Self.hashBytes)
        keyring = try reader.uint32()
        header = try reader.fixed(Self.headerBytes)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint32(number)
        writer.uint64(endedSeconds)
        try writer.fixed(hash, count: Self.hashBytes)
        writer.uint32(keyring)
        try writer.fixed(header, count: Self.headerBytes)
    }
}

extension BackupHead {
    /// 64 bytes that tell nothing to those who lack the key, and that nobody else can make. The nonce is made of the
    /// content, so that no source of randomness can fail; the same head is the same bytes again.
    package func sealed(for store: StoreID, under key: BackupKey) throws(ByteCodingError) -> [UInt8] {
        let content = try encoded()
        let nonce = Self.nonce(of: content, store, key)
        return nonce + Self.cipher(store, key).seal(content, nonce: nonce)
    }

    /// Nil if it was not sealed for this store under this key.
    package static func open(_ sealed: [UInt8], for store: StoreID, under key: BackupKey) -> BackupHead? {
        guard sealed.count == sealedBytes else { return nil }
        let nonce = Array(sealed.prefix(AES256GCM.nonceBytes))
        guard let content = try? cipher(store, key).open(sealed.dropFirst(nonce.count), nonce: nonce),
            constantTimeEquals(Self.nonce(of: content, store, key), nonce)
        else { return nil }
        return try? BackupHead(decoding: content)
    }

    private static func cipher(_ store: StoreID, _ key: BackupKey) -> AES256GCM {
        AES256GCM(key: store.deriveKey(from: key.secret, info: Label.head))
    }

    private static func nonce(of content: [UInt8], _ store: StoreID, _ key: BackupKey) -> [UInt8] {
        let code = hmacSHA256(content, key: store.deriveKey(from: key.secret, info: Label.headNonce))
        return Array(code.prefix(AES256GCM.nonceBytes))
    }
}
