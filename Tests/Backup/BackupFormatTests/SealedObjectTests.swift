import BackupFormat
import ByteCoding
import Primitives
import TestSupport
import Testing

let store = StoreID(uncheckedBytes: Array(0..<16))
let id = ObjectID(uncheckedBytes: Array(0x10..<0x20))
let key = SecretBytes(copying: Array(0x40..<0x60))

func cipher(_ kind: ObjectKind, epoch: UInt32, _ key: SecretBytes = key, _ store: StoreID = store) throws
    -> ObjectCipher
{
    try ObjectCipher(preamble: Preamble(kind: kind, epoch: epoch, id: id), key: key, store: store)
}

@Suite struct `A sealed object` {
    @Test func `has the bytes that an independent program computes from the specification`() throws {
        #expect(
            Hex.encode(try cipher(.pack, epoch: 1).seal(Array("abc".utf8)))
                == "434f46464552010200000001101112131415161718191a1b1c1d1e1f00000000ad61ca51319ec2e3448b8a9669be4f0b94212e"
        )
        #expect(
            Hex.encode(try cipher(.index, epoch: 7).seal([]))
                == "434f46464552010300000007101112131415161718191a1b1c1d1e1f000000005f3ef8d677cb16611b5cc1e65a92973f")
        let twoFrames = (0..<(1 << 20) + 5).map { UInt8(($0 * $0) % 251) }
        #expect(
            Hex.encode(sha256(try cipher(.snapshot, epoch: 2).seal(twoFrames)))
                == "1f258a7e013b3eebb6de914ab85d6db75bb47dfe34afb2bd6410fb95c4d6bc93")
    }

    @Test(arguments: [
        0, 1, 15, 16, 17, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (1 << 20) + 16, 2 << 20, (2 << 20) + 1, 5_000_000,
    ])
    func `opens again, whole and frame by frame, and its size tells its plaintext's`(size: Int) throws {
        let cipher = try cipher(.pack, epoch: 1)
        let plaintext = [UInt8](repeating: 0x5a, count: size)
        let object = try cipher.seal(plaintext)
        #expect(object.count == ObjectCipher.objectBytes(plaintextBytes: size))
        #expect(ObjectCipher.plaintextBytes(objectBytes: object.count) == size)
        #expect(try cipher.open(object) == plaintext)
        var end = Preamble.byteCount
        for frame in 0..<ObjectCipher.frameCount(plaintextBytes: size) {
            let range = ObjectCipher.frameRange(frame, plaintextBytes: size)
            #expect(range.lowerBound == end)
            end = range.upperBound
            _ = try cipher.openFrame(frame, object[range], plaintextBytes: size)
        }
        #expect(end == object.count)
    }

    @Test func `sizes that no plaintext has are none`() {
        let sizes = Set((0..<40).map { ObjectCipher.objectBytes(plaintextBytes: $0) })
        for size in 0..<60 { #expect((ObjectCipher.plaintextBytes(objectBytes: size) != nil) == sizes.contains(size)) }
        let full = ObjectCipher.objectBytes(plaintextBytes: 1 << 20)
        // A second frame is never empty.
        for more in 1...16 { #expect(ObjectCipher.plaintextBytes(objectBytes: full + more) == nil) }
        #expect(ObjectCipher.plaintextBytes(objectBytes: full + 17) == (1 << 20) + 1)
        for size in [-1, Int.min, 0] { #expect(ObjectCipher.plaintextBytes(objectBytes: size) == nil) }
    }

    @Test func `does not open when cut anywhere, above all between frames`() throws {
        let cipher = try cipher(.pack, epoch: 1)
        let small = try cipher.seal(Array(0..<40))
        for count in small.indices {
            #expect(throws: SealedObjectError.self) { try cipher.open(Array(small[..<count])) }
        }
        let large = try cipher.seal([UInt8](repeating: 3, count: (3 << 20) + 100))
        for frame in 0..<4 {
            let edge = ObjectCipher.frameRange(frame, plaintextBytes: (3 << 20) + 100).lowerBound
            for count in [edge - 1, edge, edge + 1, edge + 16, edge + 17] {
                #expect(throws: SealedObjectError.self) { try cipher.open(Array(large[..<count])) }
            }
        }
        #expect(throws: SealedObjectError.self) { try cipher.open(small + [0]) }
        #expect(throws: SealedObjectError.self) { try cipher.open(large + large[32...]) }
    }

    @Test func `does not open with frames changed about`() throws {
        let cipher = try cipher(.pack, epoch: 1)
        let size = 3 << 20
        let object = try cipher.seal([UInt8](repeating: 3, count: size))
        let frames = (0..<3).map { Array(object[ObjectCipher.frameRange($0, plaintextBytes: size)]) }
        let preamble = Array(object[..<32])
        #expect(throws: SealedObjectError.altered(frame: 0)) {
            try cipher.open(preamble + frames[1] + frames[0] + frames[2])
        }
        #expect(throws: SealedObjectError.altered(frame: 1)) {
            try cipher.open(preamble + frames[0] + frames[0] + frames[2])
        }
        #expect(throws: SealedObjectError.altered(frame: 1)) { try cipher.open(preamble + frames[0] + frames[1]) }
    }

    @Test func `does not open with a single bit changed`() throws {
        let keyCipher = try cipher(.pack, epoch: 1)
        let object = try keyCipher.seal(Array("a small object".utf8))
        for place in object.indices {
            for bit in 0..<8 {
                var altered = object
                altered[place] ^= 1 << bit
                // As a reader does: the key follows from the preamble.
                #expect(throws: SealedObjectError.self) {
                    let preamble = try readPreamble(of: altered, kind: .pack, id: id)
                    _ = try ObjectCipher(preamble: preamble, key: key, store: store).open(altered)
                }
            }
        }
    }

    @Test func `does not open as another kind, id or epoch, nor in another store, nor with another key`() throws {
        let object = try cipher(.pack, epoch: 1).seal([1, 2, 3])
        let other = SecretBytes(copying: Array(0x41..<0x61))
        let otherStore = StoreID(uncheckedBytes: Array(1..<17))
        for cipher in [
            try cipher(.index, epoch: 1), try cipher(.pack, epoch: 2), try cipher(.pack, epoch: 1, other),
            try cipher(.pack, epoch: 1, key, otherStore),
        ] {
            #expect(throws: SealedObjectError.altered(frame: 0)) { try cipher.open(object) }
        }
        #expect(throws: SealedObjectError.notThisObject) { try readPreamble(of: object, kind: .index) }
        #expect(throws: SealedObjectError.notThisObject) {
            try readPreamble(of: object, kind: .pack, id: ObjectID(uncheckedBytes: Array(0..<16)))
        }
        #expect(throws: SealedObjectError.notThisObject) { try readPreamble(of: object[..<31], kind: .pack) }
        #expect(try readPreamble(of: object, kind: .pack).id == id)
    }
}

@Suite struct `Padding` {
    @Test(arguments: [
        (0, 0), (1, 1), (2, 2), (3, 3), (9, 10), (100, 104), (1_000, 1_024), (1_025, 1_088), (9_999, 10_240),
        (1 << 20, 1 << 20), ((1 << 20) + 1, 1_081_344), (123_456_789, 123_731_968),
    ])
    func `is PADMÉ`(count: Int, padded: Int) { #expect(padmé(count) == padded) }

    @Test func `never shortens, costs at most 12 %, and leaves few lengths`() {
        var lengths: Set<Int> = []
        for count in 1...200_000 {
            let padded = padmé(count)
            #expect(padded >= count && padded <= count + count * 12 / 100)
            lengths.insert(padded)
        }
        #expect(lengths.count < 250)
    }

    @Test func `anything but zeros behind a structure is refused`() throws {
        let index = Index(packs: [])
        let bytes = try index.encodedAndPadded()
        #expect(bytes.count == 1_024)
        #expect(try Index(decodingPadded: bytes) == index)
        for place in 4..<bytes.count {
            var altered = bytes
            altered[place] = 1
            #expect(throws: ByteCodingError.trailingBytes) { try Index(decodingPadded: altered) }
        }
    }
}
