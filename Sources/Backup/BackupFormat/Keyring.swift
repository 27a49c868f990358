package import ByteCoding
package import Primitives

/// The random keys under which a store's objects are sealed, itself sealed under K (section 6).
package struct Keyring: ByteCodable, Sendable {
    /// One generation of keys; new objects use the last.
    package struct Epoch: Sendable {
        package let number: UInt32
        package let createdSeconds: UInt64
        package let key: SecretBytes
    }

    package let number: UInt32
    package let chunkIDKey: SecretBytes
    package let epochs: [Epoch]

    /// The largest number that 8 digits write.
    package static let numberMax: UInt32 = 99_999_999
    /// 44 bytes each, in 2^16 − 1.
    static let epochsMax = 1_489

    /// The keyring of a new store.
    package init(
        number: UInt32 = 1, createdSeconds: UInt64, using generator: inout some RandomNumberGenerator
    ) {
        self.number = number
        chunkIDKey = .random(32, using: &generator)
        epochs = [Epoch(number: 1, createdSeconds: createdSeconds, key: .random(32, using: &generator))]
    }

    /// The same keys under another number: what is damaged is not written over.
    package func renumbered(_ number: UInt32) -> Keyring { Keyring(number, chunkIDKey, epochs) }

    private init(_ number: UInt32, _ chunkIDKey: SecretBytes, _ epochs: [Epoch]) {
        self.number = number
        self.chunkIDKey = chunkIDKey
        self.epochs = epochs
    }

    /// The keyring of the next K: with all epochs, and a new one for what is written from then on.
    package init(
        after keyring: Keyring, number: UInt32, createdSeconds: UInt64,
        using generator: inout some RandomNumberGenerator
    ) throws(ByteCodingError) {
        let (epoch, isOver) = keyring.current.number.addingReportingOverflow(1)
        guard !isOver, keyring.epochs.count < Self.epochsMax else { throw .invalidValue }
        let new = Epoch(number: epoch, createdSeconds: createdSeconds, key: .random(32, using: &generator))
        self.init(number, keyring.chunkIDKey, keyring.epochs + [new])
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        number = try reader.uint32()
        chunkIDKey = try reader.secret(32)
        epochs = try reader.list(44...0xffff) { reader throws(ByteCodingError) in
            Epoch(number: try reader.uint32(), createdSeconds: try reader.uint64(), key: try reader.secret(32))
        }
        guard number > 0, epochs.first?.number != 0,
            zip(epochs, epochs.dropFirst()).allSatisfy({ $0.number < $1.number })
        else { throw .invalidValue }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint32(number)
        writer.secret(chunkIDKey)
        try writer.list(epochs, 44...0xffff) { epoch, writer throws(ByteCodingError) in
            writer.uint32(epoch.number)
            writer.uint64(epoch.createdSeconds)
            writer.secret(epoch.key)
        }
    }

    /// The epoch under which new objects are sealed.
    package var current: Epoch { epochs[epochs.count - 1] }

    /// The key of an epoch, or nil if this keyring does not hold it.
    package func key(ofEpoch number: UInt32) -> SecretBytes? {
        epochs.first { $0.number == number }?.key
    }

    /// The keyed hash by which equal chunks are found (section 5).
    package func chunkID(of content: UnsafeRawBufferPointer) -> ChunkID {
        ChunkID(uncheckedBytes: hmacSHA256(content, key: chunkIDKey))
    }

    /// The keyed hash of a database's page (section 8).
    package func pageHash(of page: UnsafeRawBufferPointer) -> PageHash {
        PageHash(uncheckedBytes: Array(hmacSHA256(page, key: chunkIDKey)[..<PageHash.byteCount]))
    }

    /// The key under which a device keeps its own copies of databases: it opens with K alone.
    package func copyKey(of store: StoreID) -> SecretBytes { store.deriveKey(from: chunkIDKey, info: Label.copy) }

    /// One of the two sealed copies.
    package func sealed(
        under key: BackupKey, store: StoreID, using generator: inout some RandomNumberGenerator
    ) throws(ByteCodingError) -> [UInt8] {
        let preamble = Preamble(kind: .keyring, epoch: 0, id: .random(using: &generator))
        var plaintext = try encodedAndPadded()
        defer { plaintext.wipe() }
        return try ObjectCipher(preamble: preamble, key: key.secret, store: store).seal(plaintext)
    }

    /// Opens one of the copies.
    package static func open(
        _ object: [UInt8], number: UInt32, under key: BackupKey, store: StoreID
    ) throws(SealedObjectError) -> Keyring {
        let preamble = try readPreamble(of: object, kind: .keyring)
        guard preamble.epoch == 0, let cipher = try? ObjectCipher(preamble: preamble, key: key.secret, store: store)
        else { throw .notThisObject }
        var plaintext = try cipher.open(object)
        defer { plaintext.wipe() }
        guard let keyring = try? Keyring(decodingPadded: plaintext), keyring.number == number else { throw .malformed }
        return keyring
    }
}

extension ByteReader {
    /// Fixed secret bytes; the transient copy is wiped.
    mutating func secret(_ count: Int) throws(ByteCodingError) -> SecretBytes {
        var bytes = try fixed(count)
        return SecretBytes(wiping: &bytes)
    }
}

extension ByteWriter {
    mutating func secret(_ secret: SecretBytes) {
        secret.withBytes { raw($0) }
    }
}
