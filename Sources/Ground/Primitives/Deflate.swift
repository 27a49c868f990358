import CZlib

/// One zlib stream (RFC 1950), deflated in pieces.
package final class Deflate {
    package static let levels = 1...9

    private static let pieceBytes = 1 << 16
    // zlib remembers where it lies.
    private let stream: UnsafeMutablePointer<z_stream>
    private let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceBytes, alignment: 64)

    package init(level: Int) {
        precondition(Self.levels.contains(level), "zlib has levels 1 to 9")
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        let started = deflateInit_(stream, Int32(level), ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        // Without memory for this there is none for an array either, and Swift stops the program there too.
        guard started == Z_OK else { preconditionFailure("out of memory for compression") }
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
        piece.deallocate()
    }

    /// Hands the compressed pieces on as they come.
    package func deflate<Failure: Error>(
        _ bytes: UnsafeRawBufferPointer, _ consume: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        try run(bytes, Z_NO_FLUSH, consume)
    }

    /// The rest, and the checksum.
    package func finish<Failure: Error>(
        _ consume: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        try run(UnsafeRawBufferPointer(start: nil, count: 0), Z_FINISH, consume)
    }

    private func run<Failure: Error>(
        _ bytes: UnsafeRawBufferPointer, _ flush: Int32,
        _ consume: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        precondition(bytes.count <= Int32.max, "a piece is not huge")
        stream.pointee.next_in = UnsafeMutablePointer(
            mutating: bytes.assumingMemoryBound(to: UInt8.self).baseAddress)
        stream.pointee.avail_in = UInt32(bytes.count)
        var answer = Z_OK
        repeat {
            stream.pointee.next_out = piece.assumingMemoryBound(to: UInt8.self).baseAddress
            stream.pointee.avail_out = UInt32(piece.count)
            answer = CZlib.deflate(stream, flush)
            let written = piece.count - Int(stream.pointee.avail_out)
            if written > 0 { try consume(UnsafeMutableRawBufferPointer(rebasing: piece[..<written])) }
        } while stream.pointee.avail_out == 0 && answer == Z_OK
    }
}
