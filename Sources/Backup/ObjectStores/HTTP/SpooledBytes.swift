import BackupEngine
import CCofferSystem
import Foundation
package import NIOCore
import Primitives

/// An object that is gathered in a file without a name, since a request tells its length and hash before its first byte, and
/// sends it again if need be. What lies there is sealed already.
final class Spool {
    private let file: SpoolFile
    private var byteCount = 0
    private var sha256 = SHA256Stream()

    init() throws(ObjectStoreError) { file = try SpoolFile() }

    func append(_ bytes: UnsafeRawBufferPointer) throws(ObjectStoreError) {
        guard coffer_write_once(file.descriptor, bytes.baseAddress, bytes.count) == 0 else {
            throw .failed("temporary files on this device: \(String(cString: strerror(errno)))")
        }
        byteCount += bytes.count
        sha256.update(bytes)
    }

    func gathered() -> SpooledBytes {
        SpooledBytes(file: file, byteCount: byteCount, sha256: sha256.digest())
    }
}

final class SpoolFile: Sendable {
    let descriptor: Int32

    init() throws(ObjectStoreError) {
        for folder in [String(cString: coffer_temporary_folder()), "/var/tmp", "/tmp"] {
            let file = coffer_open_temporary(folder)
            guard file >= 0 else { continue }
            descriptor = file
            return
        }
        throw .failed("temporary files on this device: no folder takes them")
    }

    deinit { close(descriptor) }
}

/// The bytes of a spool, from the first on, as often as they are asked for.
package struct SpooledBytes: AsyncSequence, Sendable {
    package typealias Element = ByteBuffer

    private static let partBytes = 128 << 10
    private let file: SpoolFile
    /// Where they begin in the file.
    private var start = 0
    package private(set) var byteCount: Int
    /// Of all of them, whatever is left out.
    package let sha256: [UInt8]

    init(file: SpoolFile, byteCount: Int, sha256: [UInt8]) {
        self.file = file
        self.byteCount = byteCount
        self.sha256 = sha256
    }

    /// Read once more for it: few servers want it, and it would cost more than all else that an upload costs.
    package var md5: [UInt8] {
        var md5 = MD5()
        var offset = 0
        while offset < byteCount, let part = try? part(at: offset, count: Swift.min(Self.partBytes, byteCount - offset))
        {
            part.withUnsafeReadableBytes { md5.update($0) }
            offset += part.readableBytes
        }
        return md5.digest()
    }

    /// Without the first ones, for an upload that goes on.
    func dropping(_ count: Int) -> SpooledBytes {
        var rest = self
        rest.start += Swift.min(count, byteCount)
        rest.byteCount -= Swift.min(count, byteCount)
        return rest
    }

    /// Some of them, for a place that takes no more at a time.
    func portion(_ range: Range<Int>) -> SpooledBytes {
        var portion = dropping(range.lowerBound)
        portion.byteCount = Swift.min(portion.byteCount, range.count)
        return portion
    }

    package struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let bytes: SpooledBytes
        fileprivate var offset = 0

        package mutating func next() async throws -> ByteBuffer? {
            guard offset < bytes.byteCount else { return nil }
            let part = try bytes.part(at: offset, count: Swift.min(SpooledBytes.partBytes, bytes.byteCount - offset))
            offset += part.readableBytes
            return part
        }
    }

    package func makeAsyncIterator() -> AsyncIterator { AsyncIterator(bytes: self) }

    /// - Returns: at most `count` bytes, and at least one.
    func part(at offset: Int, count: Int) throws -> ByteBuffer {
        var part = ByteBufferAllocator().buffer(capacity: count)
        let got = part.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { room in
            Swift.max(0, pread(file.descriptor, room.baseAddress, count, off_t(start + offset)))
        }
        guard got > 0 else { throw ObjectStoreError.failed("temporary files on this device cannot be read") }
        return part
    }
}
