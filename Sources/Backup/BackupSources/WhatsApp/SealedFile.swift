package import BackupEngine
import ByteCoding
import Primitives

/// One file without a name for any number of contents, one behind the other: a file for each would take too many descriptors.
package final class SealedSpace {
    fileprivate let file: any DeviceFile
    fileprivate var end: UInt64 = 0

    /// - Parameter file: an empty file without a name.
    package init(_ file: any DeviceFile) { self.file = file }
}

/// Content that waits on this device's disk to be backed up: in a file without a name, each frame sealed under a key that is never
/// written down. So nothing of it can be read there, by whoever takes the disk while it lies there or after.
package final class SealedFile {
    /// There is no room, or the disk fails.
    package struct Failure: Error, Equatable, Sendable {}

    private static let frameBytes = 256 << 10
    private static let sealedBytes = frameBytes + AES256GCM.tagBytes

    private let space: SealedSpace
    /// In the file.
    private let start: UInt64
    private let cipher: AES256GCM
    /// The frame that is being filled, or the one that was read last; empty as long as neither is done.
    private var frame: [UInt8] = []
    private var sealed: [UInt8] = []
    private var frameNumber: UInt64?
    package private(set) var byteCount: UInt64 = 0
    /// Of the frame that is being filled.
    private var filled = 0

    /// - Parameter space: into which no other content is written before `endWriting`.
    package init(_ space: SealedSpace) {
        self.space = space
        start = space.end
        var generator = SystemRandomNumberGenerator()
        cipher = AES256GCM(key: .random(AES256GCM.keyBytes, using: &generator))
    }

    deinit { frame.wipe() }

    private func takeBuffers() {
        guard frame.isEmpty else { return }
        frame = [UInt8](repeating: 0, count: Self.frameBytes)
        sealed = [UInt8](repeating: 0, count: Self.sealedBytes)
    }

    /// Gives the memory back, until something is read again.
    func letGoOfBuffers() {
        frame.wipe()
        (frame, sealed, frameNumber) = ([], [], nil)
    }

    // MARK: Writing

    package func append(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
        var rest = bytes
        if rest.count > 0 { takeBuffers() }
        while rest.count > 0 {
            let count = min(rest.count, Self.frameBytes - filled)
            let part = UnsafeRawBufferPointer(rebasing: rest.prefix(count))
            frame.withUnsafeMutableBytes { $0[filled..<filled + count].copyBytes(from: part) }
            filled += count
            byteCount += UInt64(count)
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            if filled == Self.frameBytes { try writeFrame() }
        }
    }

    /// Called when everything was appended, before the first reading.
    package func endWriting() throws(Failure) {
        defer { letGoOfBuffers() }
        guard filled > 0 else { return }
        frame.withUnsafeMutableBytes {
            _ = UnsafeMutableRawBufferPointer(rebasing: $0[filled...]).initializeMemory(as: UInt8.self, repeating: 0)
        }
        try writeFrame()
    }

    private func writeFrame() throws(Failure) {
        let number = (byteCount - 1) / UInt64(Self.frameBytes)
        filled = 0
        // Each frame is written once, so that its number is a nonce that is used once.
        let nonce = Self.nonce(number)
        let isWritten = frame.withUnsafeBytes { frame in
            sealed.withUnsafeMutableBytes { sealed in
                cipher.seal(frame, nonce: nonce, into: sealed)
                return space.file.write(UnsafeRawBufferPointer(sealed), at: place(of: number))
            }
        }
        guard isWritten else { throw Failure() }
        space.end = place(of: number + 1)
    }

    private func place(of number: UInt64) -> UInt64 { start + number * UInt64(Self.sealedBytes) }

    private static func nonce(_ number: UInt64) -> [UInt8] {
        var nonce = ByteWriter(capacity: AES256GCM.nonceBytes)
        nonce.uint32(0)
        nonce.uint64(number)
        return nonce.bytes
    }

    // MARK: Reading

    /// Fills the buffer from a place.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(SourceError) {
        guard offset <= byteCount, UInt64(buffer.count) <= byteCount - offset else { throw .changed }
        var done = 0
        while done < buffer.count {
            let place = offset + UInt64(done)
            try openFrame(place / UInt64(Self.frameBytes))
            let start = Int(place % UInt64(Self.frameBytes))
            let count = min(buffer.count - done, Self.frameBytes - start)
            frame.withUnsafeBytes { frame in
                UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: frame[start..<start + count]))
            }
            done += count
        }
    }

    /// So many bytes; nil if they are not there.
    func bytes(at offset: UInt64, count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        return bytes.withUnsafeMutableBytes { (try? read(into: $0, at: offset)) != nil } ? bytes : nil
    }

    private func openFrame(_ number: UInt64) throws(SourceError) {
        guard frameNumber != number else { return }
        takeBuffers()
        frameNumber = nil
        let nonce = Self.nonce(number)
        let isOpened = sealed.withUnsafeMutableBytes { sealed in
            frame.withUnsafeMutableBytes { frame in
                space.file.read(into: sealed, at: place(of: number))
                    && (try? cipher.open(UnsafeRawBufferPointer(sealed), nonce: nonce, into: frame)) != nil
            }
        }
        guard isOpened else { throw .unreadable("what lay on this device's disk meanwhile cannot be read back") }
        frameNumber = number
    }
}
