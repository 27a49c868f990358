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

/// Frames that were compressed with a prefix: bytes that both sides have, as if they stood before the content
/// (`ZSTD_CCtx_refPrefix`). The contexts are used again and again.
package final class ZstandardPrefix {
    /// A prefix and its content must fit: a match beyond the window is not found.
    private static let windowLog: Int32 = 21
    /// 1 MiB for each of the two tables.
    private static let tableLog: Int32 = 18
    private static let level: Int32 = 3

    private let compressor: OpaquePointer
    private let decompressor: OpaquePointer

    package init() {
        // Without memory for this there is none for an array either, and Swift stops the program there too.
        guard let compressor = ZSTD_createCCtx(), let decompressor = ZSTD_createDCtx()
        else { preconditionFailure("out of memory for Zstandard") }
        self.compressor = compressor
        self.decompressor = decompressor
        ZSTD_CCtx_setParameter(compressor, ZSTD_c_compressionLevel, Self.level)
        ZSTD_CCtx_setParameter(compressor, ZSTD_c_windowLog, Self.windowLog)
        ZSTD_CCtx_setParameter(compressor, ZSTD_c_hashLog, Self.tableLog)
        ZSTD_CCtx_setParameter(compressor, ZSTD_c_chainLog, Self.tableLog)
    }

    deinit {
        ZSTD_freeCCtx(compressor)
        ZSTD_freeDCtx(decompressor)
    }

    /// Compresses into one frame that holds its content's length; nil when the frame would not be shorter than
    /// `lessThan` bytes.
    package func compress(
        _ bytes: UnsafeRawBufferPointer, prefix: UnsafeRawBufferPointer, lessThan limit: Int
    ) -> [UInt8]? {
        guard limit > 1, ZSTD_isError(ZSTD_CCtx_refPrefix(compressor, prefix.baseAddress, prefix.count)) == 0
        else { return nil }
        var written = 0
        let frame = [UInt8](unsafeUninitializedCapacity: limit - 1) { buffer, count in
            written = ZSTD_compress2(compressor, buffer.baseAddress, buffer.count, bytes.baseAddress, bytes.count)
            count = ZSTD_isError(written) == 0 ? written : 0
        }
        return ZSTD_isError(written) == 0 ? frame : nil
    }

    /// Fills the buffer with exactly what the frame, which says its content's length, holds.
    package func decompress(
        _ frame: [UInt8], prefix: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer
    ) throws(Zstandard.DecompressionError) {
        let claimed = ZSTD_getFrameContentSize(frame, frame.count)
        guard claimed == UInt64(buffer.count), ZSTD_findFrameCompressedSize(frame, frame.count) == frame.count
        else { throw .lengthMismatch }
        guard ZSTD_isError(ZSTD_DCtx_refPrefix(decompressor, prefix.baseAddress, prefix.count)) == 0
        else { throw .damaged }
        let written = ZSTD_decompressDCtx(decompressor, buffer.baseAddress, buffer.count, frame, frame.count)
        guard ZSTD_isError(written) == 0 else { throw .damaged }
        guard written == buffer.count else { throw .lengthMismatch }
    }
}

/// Compresses one frame after the other in the same working memory, which costs less than the compressing where frames are small.
package final class ZstandardCompressor {
    private let context: OpaquePointer

    package init() {
        // As in `ZstandardPrefix`.
        guard let context = ZSTD_createCCtx() else { preconditionFailure("out of memory for compression") }
        self.context = context
    }

    deinit { ZSTD_freeCCtx(context) }

    /// Writes one frame that holds its content's length into `target`; nil when it does not fit.
    package func compress(
        _ bytes: UnsafeRawBufferPointer, level: Int, into target: UnsafeMutableRawBufferPointer
    ) -> Int? {
        let written = ZSTD_compressCCtx(
            context, target.baseAddress, target.count, bytes.baseAddress, bytes.count, Int32(level))
        return ZSTD_isError(written) == 0 ? written : nil
    }
}

/// Decompresses one frame after the other in the same working memory.
package final class ZstandardDecompressor {
    private let context: OpaquePointer

    package init() {
        // As in `ZstandardPrefix`.
        guard let context = ZSTD_createDCtx() else { preconditionFailure("out of memory for decompression") }
        self.context = context
    }

    deinit { ZSTD_freeDCtx(context) }

    /// Fills `target` exactly: its size is set by the caller, never by the frame.
    package func decompress(
        _ frame: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) throws(Zstandard.DecompressionError) {
        let written = ZSTD_decompressDCtx(context, target.baseAddress, target.count, frame.baseAddress, frame.count)
        guard ZSTD_isError(written) == 0 else {
            throw ZSTD_getErrorCode(written) == ZSTD_error_dstSize_tooSmall ? .lengthMismatch : .damaged
        }
        guard written == target.count else { throw .lengthMismatch }
    }
}
