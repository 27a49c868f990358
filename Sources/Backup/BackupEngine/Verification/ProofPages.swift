import BackupFormat
import ByteCoding
import Primitives

/// Pages of an image that further layers are decoded with: on this device's disk, each sealed under a key that is never written down,
/// in a file that has no name. So what a proof leaves behind, even one that is killed, is noise.
///
/// Each page has two places. What a layer writes goes to the one that is not in use, so that its deltas still find the image below; it
/// takes effect with `endLayer`.
struct ProofPages: ~Copyable {
    /// It could not be written or read back: no room, most likely.
    struct Failure: Error {}

    private let file: any DeviceFile
    private let pageBytes: Int
    private let cipher: AES256GCM
    private let cell: ScratchBuffer
    private var cellBytes: Int { AES256GCM.nonceBytes + pageBytes + AES256GCM.tagBytes }
    private var nonceCounter: UInt64 = 0
    /// The pages whose second place is in use.
    private var second = SparsePageSet()
    private var written = SparsePageSet()

    init(_ file: any DeviceFile, pageBytes: Int) {
        self.file = file
        self.pageBytes = pageBytes
        var generator = SystemRandomNumberGenerator()
        cipher = AES256GCM(key: .random(AES256GCM.keyBytes, using: &generator))
        cell = ScratchBuffer(byteCount: AES256GCM.nonceBytes + pageBytes + AES256GCM.tagBytes)
    }

    private func offset(of page: Int, inSecond: Bool) -> UInt64 {
        (UInt64(page) * 2 + (inSecond ? 1 : 0)) * UInt64(cellBytes)
    }

    /// A page of the layer that is under way.
    mutating func write(_ page: Int, _ bytes: UnsafeRawBufferPointer) throws(Failure) {
        var nonce = ByteWriter(capacity: AES256GCM.nonceBytes)
        nonce.uint32(0)
        nonce.uint64(nonceCounter)
        nonceCounter += 1
        cell.bytes.copyBytes(from: nonce.bytes)
        cipher.seal(
            bytes, nonce: nonce.bytes, into: .init(rebasing: cell.bytes[AES256GCM.nonceBytes..<cellBytes]))
        let isWritten = file.write(
            UnsafeRawBufferPointer(cell.bytes), at: offset(of: page, inSecond: !second.contains(page)))
        guard isWritten else { throw Failure() }
        written.insert(page)
    }

    /// A page of the image below.
    func read(_ page: Int, into buffer: UnsafeMutableRawBufferPointer) throws(Failure) {
        guard file.read(into: cell.bytes, at: offset(of: page, inSecond: second.contains(page))) else {
            throw Failure()
        }
        let nonce = Array(cell.bytes[..<AES256GCM.nonceBytes])
        let sealed = UnsafeRawBufferPointer(rebasing: cell.bytes[AES256GCM.nonceBytes..<cellBytes])
        do { try cipher.open(sealed, nonce: nonce, into: buffer) } catch { throw Failure() }
    }

    mutating func endLayer() {
        second.toggle(written)
        written = SparsePageSet()
    }
}
