import BackupFormat
import ByteCoding
import Primitives

/// A device's copy of the last image of a database: frames of its pages, each sealed under a nonce of its own.
///
/// A frame is written to a slot that no list in force names, and the list that names it is published when the snapshot stands.
/// So a backup that is cut leaves the old copy as it was; and since the list, sealed as a whole, holds every frame's nonce,
/// a slot that was not written or comes from another time does not open.
struct PreviousCopy {
    private static let frameBytesMin = 4_096
    /// The list has 16 bytes for each frame.
    private static let framesMax = 1 << 17

    let content: FileContent
    let pageCount: Int
    let frameBytes: Int
    fileprivate let slots: any DeviceFile
    fileprivate let cipher: AES256GCM
    fileprivate var list: CopyList

    /// The frames of an image: the larger it is the larger they are, so that the list stays small.
    static func frameBytes(pageBytes: Int, pageCount: Int) -> Int {
        var frameBytes = max(pageBytes, frameBytesMin)
        while (pageCount * pageBytes - 1) / frameBytes >= framesMax { frameBytes *= 2 }
        return frameBytes
    }

    /// The copy of one of these contents; nil if there is none, or one of another content.
    init?(
        _ name: CopyName, _ kind: CopyName.Kind, of contents: [FileContent], in copies: any PreviousCopies,
        key: SecretBytes
    ) {
        cipher = AES256GCM(key: key)
        guard let sealed = copies.list(name.list(kind)), let slots = copies.slots(name.slots),
            let list = CopyList(opening: sealed, cipher),
            let content = contents.first(where: { $0.identity == list.content }), let layer = content.layers.last
        else { return nil }
        self.content = content
        self.slots = slots
        self.list = list
        pageCount = layer.pageCount
        frameBytes = Self.frameBytes(pageBytes: Int(content.blockBytes), pageCount: pageCount)
        let frames = (pageCount * Int(content.blockBytes) + frameBytes - 1) / frameBytes
        guard list.frames.count == frames else { return nil }
    }

    var frameCount: Int { list.frames.count }

    /// Fills the buffer with a frame's pages; false if it is damaged.
    func read(frame: Int, into buffer: UnsafeMutableRawBufferPointer, _ scratch: UnsafeMutableRawBufferPointer) -> Bool
    {
        let slotBytes = frameBytes + AES256GCM.tagBytes
        let entry = list.frames[frame]
        let sealed = UnsafeMutableRawBufferPointer(rebasing: scratch[..<slotBytes])
        guard slots.read(into: sealed, at: UInt64(entry.slot) * UInt64(slotBytes)) else { return false }
        return cipher.open(UnsafeRawBufferPointer(sealed), nonce: entry.nonce, into: buffer)
    }
}

/// What a database's copies are called: one file of slots, and a list for each copy.
struct CopyName: Hashable {
    enum Kind: CaseIterable {
        /// Of the last image.
        case last
        /// Of the image that a step is stored against.
        case base
    }

    /// Letters and digits that tell nothing of the database's name.
    let slots: String

    func list(_ kind: Kind) -> String { kind == .last ? slots : slots + "b" }
}

/// The slots that copies in force have their frames in, without the copies' lists, which are large.
struct UsedSlots {
    /// Of the copy that is to be written.
    private let frameBytes: Int
    private var slots = SparsePageSet()
    private(set) var frameCount = 0
    /// Behind the copies whose frames, and so their slots, have another size.
    private(set) var firstFree = 0

    init(frameBytes: Int) { self.frameBytes = frameBytes }

    func contains(_ slot: Int) -> Bool { slots.contains(slot) }

    mutating func add(_ copy: PreviousCopy) {
        guard copy.frameBytes != frameBytes else {
            for frame in copy.list.frames { slots.insert(Int(frame.slot)) }
            frameCount += copy.frameCount
            return
        }
        let end = (copy.list.frames.map { Int($0.slot) }.max() ?? 0) + 1
        let slotBytes = frameBytes + AES256GCM.tagBytes
        firstFree = max(firstFree, (end * (copy.frameBytes + AES256GCM.tagBytes) + slotBytes - 1) / slotBytes)
    }
}

/// The copy of the next image, on top of the last one or from nothing.
struct NextCopy {
    private let slots: any DeviceFile
    private let cipher: AES256GCM
    private let frameBytes: Int
    private var frames: [CopyList.Frame]
    private var usedSlots: UsedSlots
    private let slotsMax: Int
    private var nextSlot = 0
    private let noncePrefix: UInt64
    private var nonceCounter: UInt32 = 0

    /// - Parameters:
    ///   - previous: the copy whose unchanged frames stay, of the same frame size.
    ///   - kept: the slots of copies that are to stay as they are.
    init?(
        _ name: CopyName, frameBytes: Int, frameCount: Int, on previous: PreviousCopy?, besides kept: UsedSlots,
        in copies: any PreviousCopies, key: SecretBytes, using generator: inout some RandomNumberGenerator
    ) {
        guard let slots = previous?.slots ?? copies.slots(name.slots) else { return nil }
        self.slots = slots
        self.frameBytes = frameBytes
        cipher = AES256GCM(key: key)
        noncePrefix = generator.next()
        frames = []
        // It is megabytes long: none twice, and no room that nothing needs.
        frames.reserveCapacity(frameCount)
        if let previous, previous.frameBytes == frameBytes { frames += previous.list.frames.prefix(frameCount) }
        frames += repeatElement(CopyList.Frame(slot: 0, nonce: .none), count: frameCount - frames.count)
        // No more slots than frames of all images are in use at once.
        usedSlots = kept
        if let previous { usedSlots.add(previous) }
        nextSlot = usedSlots.firstFree
        slotsMax = nextSlot + usedSlots.frameCount + frameCount
    }

    private mutating func nextNonce() -> CopyList.Nonce {
        defer { nonceCounter &+= 1 }
        return CopyList.Nonce(prefix: noncePrefix, counter: nonceCounter)
    }

    /// False if it could not be written.
    mutating func write(frame: Int, _ bytes: UnsafeRawBufferPointer) -> Bool {
        while nextSlot < slotsMax, usedSlots.contains(nextSlot) { nextSlot += 1 }
        guard nextSlot < slotsMax else { return false }
        let nonce = nextNonce()
        let sealed = cipher.seal(bytes, nonce: nonce.bytes)
        let offset = UInt64(nextSlot) * UInt64(sealed.count)
        guard sealed.withUnsafeBytes({ slots.write($0, at: offset) }) else { return false }
        frames[frame] = CopyList.Frame(slot: UInt32(nextSlot), nonce: nonce)
        nextSlot += 1
        return true
    }

    /// The list of the frames, sealed.
    mutating func sealedList(of content: FileContent) -> [UInt8]? {
        let nonce = nextNonce()
        return CopyList(content: content.identity, frames: frames).sealed(cipher, nonce: nonce)
    }
}

/// Which slots make a copy, and of which content it is.
private struct CopyList {
    struct Nonce {
        static let none = Nonce(prefix: 0, counter: 0)

        var prefix: UInt64
        var counter: UInt32

        var bytes: [UInt8] {
            var writer = ByteWriter(capacity: AES256GCM.nonceBytes)
            writer.uint64(prefix)
            writer.uint32(counter)
            return writer.bytes
        }
    }

    /// 16 bytes: there is one for each 4 KiB of a database.
    struct Frame {
        static let encodedBytes = 16

        let slot: UInt32
        private let nonceCounter: UInt32
        private let noncePrefix: UInt64

        var nonce: Nonce { Nonce(prefix: noncePrefix, counter: nonceCounter) }

        init(slot: UInt32, nonce: Nonce) {
            self.slot = slot
            nonceCounter = nonce.counter
            noncePrefix = nonce.prefix
        }
    }

    var content: [UInt8]
    var frames: [Frame]

    init(content: [UInt8], frames: [Frame]) {
        self.content = content
        self.frames = frames
    }

    init?(opening sealed: [UInt8], _ cipher: AES256GCM) {
        let nonce = Array(sealed.prefix(AES256GCM.nonceBytes))
        guard nonce.count == AES256GCM.nonceBytes,
            let plaintext = try? cipher.open(sealed[nonce.count...], nonce: nonce)
        else { return nil }
        var reader = ByteReader(plaintext)
        guard let content = try? reader.fixed(32), reader.remaining.isMultiple(of: Frame.encodedBytes) else {
            return nil
        }
        self.content = content
        frames = []
        frames.reserveCapacity(reader.remaining / Frame.encodedBytes)
        while reader.remaining > 0 {
            guard let slot = try? reader.uint32(), let prefix = try? reader.uint64(), let counter = try? reader.uint32()
            else { return nil }
            frames.append(Frame(slot: slot, nonce: Nonce(prefix: prefix, counter: counter)))
        }
    }

    func sealed(_ cipher: AES256GCM, nonce: Nonce) -> [UInt8] {
        let plaintextBytes = content.count + frames.count * Frame.encodedBytes
        var writer = ByteWriter(capacity: AES256GCM.nonceBytes + plaintextBytes + AES256GCM.tagBytes)
        writer.raw(nonce.bytes)
        writer.raw(content)
        for frame in frames {
            writer.uint32(frame.slot)
            writer.uint64(frame.nonce.prefix)
            writer.uint32(frame.nonce.counter)
        }
        writer.raw([UInt8](repeating: 0, count: AES256GCM.tagBytes))
        var sealed = (consume writer).bytes
        sealed.withUnsafeMutableBytes { bytes in
            let body = UnsafeMutableRawBufferPointer(rebasing: bytes[AES256GCM.nonceBytes...])
            cipher.seal(.init(rebasing: body[..<plaintextBytes]), nonce: nonce.bytes, into: body)
        }
        return sealed
    }
}

extension AES256GCM {
    fileprivate func open(
        _ sealed: UnsafeRawBufferPointer, nonce: CopyList.Nonce, into buffer: UnsafeMutableRawBufferPointer
    ) -> Bool {
        guard let opened = try? open(sealed, nonce: nonce.bytes) else { return false }
        buffer.copyBytes(from: opened)
        return true
    }
}

extension FileContent {
    /// Names this content, whatever links lead to it.
    var identity: [UInt8] {
        var content = self
        content.linkGroup = 0
        return sha256((try? content.encoded()) ?? [])
    }
}
