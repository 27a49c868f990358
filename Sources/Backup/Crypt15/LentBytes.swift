extension [UInt8] {
    /// Lends the bytes in place.
    func lend<Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        try withUnsafeBufferPointer { bytes throws(Failure) in try body(UnsafeRawBufferPointer(bytes)) }
    }
}

extension UnsafeRawBufferPointer {
    /// Hands the bytes on in pieces of at most `pieceBytes`.
    func inPieces<Failure: Error>(
        of pieceBytes: Int, _ take: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        var rest = self
        while rest.count > 0 {
            let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(pieceBytes))
            try take(piece)
            rest = UnsafeRawBufferPointer(rebasing: rest[piece.count...])
        }
    }
}
