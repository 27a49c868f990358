import Primitives

/// Why what a proven file holds is not given out, or not whole.
package enum ContentProblem: Error, Equatable, Sendable {
    /// It is compressed, and the compressed bytes or their checksum are wrong.
    case damaged
    /// The compressed bytes end too early.
    case cut
    /// The compressed bytes end, and so many follow them.
    case bytesBehind(UInt64)
    /// More comes out than is allowed.
    case tooLarge(limit: UInt64)
}

/// Inflates the payload of a backup, if it is deflated, and looks at what it is.
///
/// Memory is constant: what comes out is handed on in pieces. Deflate yields at most 1,032 bytes for one; the rest of the
/// bound is `bytesMax`.
package final class ContentReader {
    private enum Stage {
        /// Fewer bytes than decide whether it is deflated.
        case undecided([UInt8])
        case deflated(Inflate)
        case plain
    }

    private static let pieceBytes = 1 << 18
    private static let firstStepBytes = 16

    private var stage = Stage.undecided([])
    private let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceBytes, alignment: 64)
    private var head: [UInt8] = []
    private var behind: UInt64 = 0
    private let bytesMax: UInt64
    private(set) var problem: ContentProblem?
    package private(set) var bytesOut: UInt64 = 0
    /// The first two bytes of the zlib stream, if it is one.
    package private(set) var zlibHead: [UInt8]?

    package init(bytesMax: UInt64) { self.bytesMax = bytesMax }

    deinit { piece.deallocate() }

    var kind: ContentKind { ContentKind(head: head) }

    /// Whether what came out can hardly be chance: the key fits, whatever became of the rest.
    var isRecognised: Bool {
        switch kind {
        case .sqlite, .zip, .webp: true
        case .json: zlibHead != nil
        case .other, .empty: false
        }
    }

    var isDeflated: Bool { zlibHead != nil }

    /// The compressed stream has ended as it should, and so many bytes follow.
    var endedBefore: UInt64? {
        guard case .deflated(let inflate) = stage, inflate.state == .ended else { return nil }
        return behind
    }

    /// The compressed stream was sound until now, and goes on.
    var wantsMore: Bool {
        guard case .deflated(let inflate) = stage else { return false }
        return inflate.state == .goesOn && problem == nil
    }

    package func feed<Failure: Error>(
        _ bytes: UnsafeRawBufferPointer, _ consume: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        guard problem == nil, bytes.count > 0 else { return }
        switch stage {
        case .undecided(let before): try decide(before + Array(bytes.prefix(2)), bytes, consume)
        case .deflated(let inflate): try feed(inflate, bytes, consume)
        case .plain: try hand(bytes, consume)
        }
    }

    /// Called when everything was fed.
    package func finish<Failure: Error>(
        _ consume: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        switch stage {
        case .undecided(let bytes):
            stage = .plain
            try hand(bytes, consume)
        case .deflated(let inflate):
            if problem == nil, inflate.state == .goesOn { problem = .cut }
            if problem == nil, behind > 0 { problem = .bytesBehind(behind) }
        case .plain: break
        }
    }

    /// - Parameter start: what was held back, and the first bytes of the piece.
    private func decide<Failure: Error>(
        _ start: [UInt8], _ bytes: UnsafeRawBufferPointer, _ consume: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        guard start.count >= 2 else {
            stage = .undecided(start)
            return
        }
        let held: [UInt8] = if case .undecided(let held) = stage { held } else { [] }
        if Self.isZlibHead(start[0], start[1]), let inflate = try? Inflate() {
            stage = .deflated(inflate)
            zlibHead = Array(start[..<2])
        } else {
            stage = .plain
        }
        try feed(held, consume)
        try feed(bytes, consume)
    }

    private func feed<Failure: Error>(
        _ bytes: [UInt8], _ consume: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        try bytes.lend { bytes throws(Failure) in try feed(bytes, consume) }
    }

    private func hand<Failure: Error>(
        _ bytes: [UInt8], _ consume: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        try bytes.lend { bytes throws(Failure) in try hand(bytes, consume) }
    }

    private func feed<Failure: Error>(
        _ inflate: Inflate, _ bytes: UnsafeRawBufferPointer,
        _ consume: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        var rest = bytes
        guard inflate.state == .goesOn else {
            behind += UInt64(rest.count)
            return
        }
        while inflate.state == .goesOn {
            // In small steps until it is seen what comes out: ISA-L keeps what it inflated in the step in which it finds damage.
            let step = head.count < ContentKind.headBytes ? rest.prefix(Self.firstStepBytes) : rest[...]
            let (taken, written) = inflate.inflate(UnsafeRawBufferPointer(rebasing: step), into: piece)
            rest = UnsafeRawBufferPointer(rebasing: rest[taken...])
            if written > 0 { try hand(UnsafeRawBufferPointer(rebasing: piece[..<written]), consume) }
            guard problem == nil else { return }
            // Room that was not used up means that it waits for more bytes.
            if rest.count == 0, written < piece.count { break }
            if taken == 0, written == 0 { break }
        }
        switch inflate.state {
        case .damaged: problem = .damaged
        case .ended: behind += UInt64(rest.count + inflate.bytesTakenBehind)
        case .goesOn: break
        }
    }

    private func hand<Failure: Error>(
        _ bytes: UnsafeRawBufferPointer, _ consume: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        guard UInt64(bytes.count) <= bytesMax - bytesOut else {
            problem = .tooLarge(limit: bytesMax)
            return
        }
        if head.count < ContentKind.headBytes { head += bytes.prefix(ContentKind.headBytes - head.count) }
        bytesOut += UInt64(bytes.count)
        try consume(bytes)
    }

    /// RFC 1950: deflate, a window of at most 32 KiB, a sound check number, no dictionary.
    static func isZlibHead(_ method: UInt8, _ flags: UInt8) -> Bool {
        method & 0x0f == 8 && method >> 4 <= 7 && (Int(method) * 256 + Int(flags)) % 31 == 0 && flags & 0x20 == 0
    }
}
