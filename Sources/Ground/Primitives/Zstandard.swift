import CZstd

/// Zstandard (RFC 8878), one frame at a time.
package enum Zstandard {
    /// Why a frame could not be opened.
    package enum DecompressionError: Error, Equatable {
        case damaged
        /// The frame does not hold as many bytes as its owner said: a bomb, or a mix-up.
        case lengthMismatch
    }

    /// Compresses into one frame that holds its content's length; nil when the frame would not be shorter than
    /// `lessThan` bytes.
    package static func compress(_ bytes: UnsafeRawBufferPointer, level: Int, lessThan limit: Int) -> [UInt8]? {
        guard limit > 1 else { return nil }
        var written = 0
        let frame = [UInt8](unsafeUninitializedCapacity: limit - 1) { buffer, count in
            written = ZSTD_compress(buffer.baseAddress, buffer.count, bytes.baseAddress, bytes.count, Int32(level))
            count = ZSTD_isError(written) == 0 ? written : 0
        }
        return ZSTD_isError(written) == 0 ? frame : nil
    }

    /// Decompresses exactly `count` bytes. The space is set by the caller, never by the frame.
    package static func decompress(_ frame: [UInt8], count: Int) throws(DecompressionError) -> [UInt8] {
        var written = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            written = ZSTD_decompress(buffer.baseAddress, buffer.count, frame, frame.count)
            initialized = ZSTD_isError(written) == 0 ? written : 0
        }
        guard ZSTD_isError(written) == 0 else {
            throw ZSTD_getErrorCode(written) == ZSTD_error_dstSize_tooSmall ? .lengthMismatch : .damaged
        }
        guard bytes.count == count else { throw .lengthMismatch }
        return bytes
    }
}
