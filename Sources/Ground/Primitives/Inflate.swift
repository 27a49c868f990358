import CISAL

/// ISA-L, opened at the first use.
enum LibISAL {
    private static let opened: coffer_libisal? = {
        var functions = coffer_libisal()
        return coffer_open_libisal(&functions) == 1 ? functions : nil
    }()

    static func functions() throws(MissingLibrary) -> coffer_libisal {
        guard let opened else { throw MissingLibrary(name: COFFER_LIBISAL) }
        return opened
    }
}

/// One zlib stream (RFC 1950), whose checksum is verified, or one of bare deflate (RFC 1951), inflated in pieces.
package final class Inflate {
    package enum Wrapper { case zlib, none }

    package enum State: Equatable {
        case goesOn
        /// The stream has ended, and its checksum is right.
        case ended
        case damaged
    }

    private var library: coffer_libisal
    private let memory: UnsafeMutableRawPointer
    package private(set) var state = State.goesOn
    /// Once it has ended: how many of the bytes that were taken stand behind the stream.
    package private(set) var bytesTakenBehind = 0

    package init(_ wrapper: Wrapper = .zlib) throws(MissingLibrary) {
        library = try LibISAL.functions()
        memory = .allocate(byteCount: coffer_inflate_state_bytes(), alignment: 64)
        coffer_inflate_begin(&library, memory, wrapper == .zlib ? 1 : 0)
    }

    deinit { memory.deallocate() }

    /// So that a missing library is told before a file is begun.
    package static func requireLibrary() throws(MissingLibrary) { _ = try LibISAL.functions() }

    /// Inflates what fits into `target`.
    ///
    /// - Returns: how many of the bytes were taken, and how many came out. Call again with the others while either moved
    ///   and `state` goes on; what is not taken when it has ended stands behind the stream, and so do `bytesTakenBehind`.
    package func inflate(
        _ bytes: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) -> (taken: Int, written: Int) {
        guard state == .goesOn else { return (0, 0) }
        let most = min(bytes.count, 1 << 30)
        var left = UInt32(most)
        var room = UInt32(min(target.count, 1 << 30))
        let roomBefore = room
        var behind: UInt32 = 0
        let answer = coffer_inflate(
            &library, memory, bytes.assumingMemoryBound(to: UInt8.self).baseAddress, &left,
            target.assumingMemoryBound(to: UInt8.self).baseAddress, &room, &behind)
        switch answer {
        case COFFER_INFLATE_GOES_ON: break
        case COFFER_INFLATE_ENDED:
            state = .ended
            bytesTakenBehind = Int(behind)
        default: state = .damaged
        }
        return (most - Int(left), Int(roomBefore - room))
    }
}
