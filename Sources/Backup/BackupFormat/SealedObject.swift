package import ByteCoding
package import Primitives

/// What a sealed object holds (section 3).
package enum ObjectKind: UInt8, Sendable {
    case keyring = 1
    case pack = 2
    case index = 3
    case snapshot = 4
    case removal = 5
}

/// The clear beginning of a sealed object; its key depends on every bit of it (section 3).
package struct Preamble: ByteCodable, Equatable, Sendable {
    package static let byteCount = 32
    private static let magic = Array("COFFER".utf8)

    package var kind: ObjectKind
    package var epoch: UInt32
    package var id: ObjectID

    package init(kind: ObjectKind, epoch: UInt32, id: ObjectID) {
        self.kind = kind
        self.epoch = epoch
        self.id = id
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        guard try reader.fixed(Self.magic.count) == Self.magic, try reader.uint8() == formatVersion,
            let kind = ObjectKind(rawValue: try reader.uint8())
        else { throw .invalidValue }
        self.kind = kind
        epoch = try reader.uint32()
        id = try ObjectID(from: &reader)
        guard try reader.uint32() == 0 else { throw .invalidValue }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.raw(Self.magic)
        writer.uint8(formatVersion)
        writer.uint8(kind.rawValue)
        writer.uint32(epoch)
        try id.encode(into: &writer)
        writer.uint32(0)
    }
}

/// The version that every structure of this format carries.
package let formatVersion: UInt8 = 1

/// Why a sealed object could not be read. None of these says anything about other objects.
package enum SealedObjectError: Error, Equatable {
    /// It does not begin as a sealed object of this kind and id does: another file, or another object's bytes.
    case notThisObject
    /// Its size is one that no plaintext makes: cut or grown.
    case impossibleSize
    /// A frame does not open: altered bytes, or another key.
    case altered(frame: Int)
    /// It opens, but what is inside breaks the format.
    case malformed
}

/// One sealed object's key and geometry: frames of AES-256-GCM in the STREAM construction (section 3).
package struct ObjectCipher: Sendable {
    package static let frameBytes = 1 << 20
    package static let sealedFrameBytes = frameBytes + AES256GCM.tagBytes

    package let preamble: Preamble
    private let cipher: AES256GCM

    /// - Parameter key: K for a keyring, the preamble's epoch key for any other object.
    package init(preamble: Preamble, key: SecretBytes, store: StoreID) throws(ByteCodingError) {
        self.preamble = preamble
        cipher = AES256GCM(key: store.deriveKey(from: key, info: Label.object + (try preamble.encoded())))
    }

    /// The object's size for a plaintext's.
    package static func objectBytes(plaintextBytes: Int) -> Int {
        Preamble.byteCount + plaintextBytes + AES256GCM.tagBytes * frameCount(plaintextBytes: plaintextBytes)
    }

    /// The plaintext's size for an object's, or nil if there is none.
    package static func plaintextBytes(objectBytes: Int) -> Int? {
        guard objectBytes >= Preamble.byteCount + AES256GCM.tagBytes else { return nil }
        let sealed = objectBytes - Preamble.byteCount
        let frames = (sealed - 1) / sealedFrameBytes + 1
        let plaintext = sealed - frames * AES256GCM.tagBytes
        guard plaintext >= 0, Self.objectBytes(plaintextBytes: plaintext) == objectBytes else { return nil }
        return plaintext
    }

    package static func frameCount(plaintextBytes: Int) -> Int {
        max(1, (plaintextBytes + frameBytes - 1) / frameBytes)
    }

    /// Where frame `index` lies in an object with this much plaintext.
    package static func frameRange(_ index: Int, plaintextBytes: Int) -> Range<Int> {
        let start = Preamble.byteCount + index * sealedFrameBytes
        let plaintext = min(frameBytes, plaintextBytes - index * frameBytes)
        return start..<start + plaintext + AES256GCM.tagBytes
    }

    /// The whole object.
    package func seal(_ plaintext: [UInt8]) throws(ByteCodingError) -> [UInt8] {
        let frames = Self.frameCount(plaintextBytes: plaintext.count)
        var object = ByteWriter(capacity: Self.objectBytes(plaintextBytes: plaintext.count))
        try preamble.encode(into: &object)
        plaintext.withUnsafeBytes { plaintext in
            for frame in 0..<frames {
                let start = frame * Self.frameBytes
                let end = min(start + Self.frameBytes, plaintext.count)
                object.raw(
                    cipher.seal(
                        UnsafeRawBufferPointer(rebasing: plaintext[start..<end]),
                        nonce: Self.nonce(frame: frame, last: frame == frames - 1)))
            }
        }
        return object.bytes
    }

    /// Seals one frame of an object that is written frame by frame.
    ///
    /// - Parameter buffer: the plaintext and room for a tag behind it; holds the sealed frame afterwards.
    package func sealFrame(_ index: Int, last: Bool, in buffer: UnsafeMutableRawBufferPointer) {
        let plaintext = UnsafeRawBufferPointer(rebasing: buffer[..<(buffer.count - AES256GCM.tagBytes)])
        cipher.seal(plaintext, nonce: Self.nonce(frame: index, last: last), into: buffer)
    }

    /// Opens one frame in place: its plaintext is the beginning of the buffer afterwards.
    package func openFrame(
        _ index: Int, in buffer: UnsafeMutableRawBufferPointer, plaintextBytes: Int
    ) throws(SealedObjectError) {
        let last = index == Self.frameCount(plaintextBytes: plaintextBytes) - 1
        do {
            try cipher.open(UnsafeRawBufferPointer(buffer), nonce: Self.nonce(frame: index, last: last), into: buffer)
        } catch {
            throw .altered(frame: index)
        }
    }

    /// One frame, given as its sealed bytes.
    package func openFrame(
        _ index: Int, _ sealed: some Collection<UInt8>, plaintextBytes: Int
    ) throws(SealedObjectError) -> [UInt8] {
        let last = index == Self.frameCount(plaintextBytes: plaintextBytes) - 1
        do {
            return try cipher.open(sealed, nonce: Self.nonce(frame: index, last: last))
        } catch {
            throw .altered(frame: index)
        }
    }

    /// The whole plaintext of a whole object, whose preamble the caller has read.
    package func open(_ object: [UInt8]) throws(SealedObjectError) -> [UInt8] {
        guard let plaintextBytes = Self.plaintextBytes(objectBytes: object.count) else { throw .impossibleSize }
        var plaintext: [UInt8] = []
        plaintext.reserveCapacity(plaintextBytes)
        for frame in 0..<Self.frameCount(plaintextBytes: plaintextBytes) {
            let range = Self.frameRange(frame, plaintextBytes: plaintextBytes)
            plaintext.append(contentsOf: try openFrame(frame, object[range], plaintextBytes: plaintextBytes))
        }
        return plaintext
    }

    /// uint88 frame number ‖ uint8 last: a cut object ends in a frame that was not sealed as the last.
    private static func nonce(frame: Int, last: Bool) -> [UInt8] {
        var nonce = ByteWriter(capacity: AES256GCM.nonceBytes)
        nonce.raw([0, 0, 0])
        nonce.uint64(UInt64(frame))
        nonce.uint8(last ? 1 : 0)
        return nonce.bytes
    }
}

/// Reads the preamble of an object and requires the kind and, where the name tells it, the id.
package func readPreamble(
    of object: some Collection<UInt8>, kind: ObjectKind, id: ObjectID? = nil
) throws(SealedObjectError) -> Preamble {
    guard let preamble = try? Preamble(decoding: Array(object.prefix(Preamble.byteCount))),
        preamble.kind == kind, id == nil || preamble.id == id
    else { throw .notThisObject }
    return preamble
}
