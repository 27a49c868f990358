import Crypto

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// SHA-256 digests, one after the other in one piece of memory: millions of them without an object for each.
package struct DigestList: Equatable, Sendable {
    package static let digestBytes = 32
    private var bytes: [UInt8] = []

    package init() {}

    package var count: Int { bytes.count / Self.digestBytes }

    package subscript(index: Int) -> [UInt8] {
        Array(bytes[index * Self.digestBytes..<(index + 1) * Self.digestBytes])
    }

    /// Replaces a digest, or adds one behind the last.
    package mutating func put(_ digest: [UInt8], at index: Int) {
        digest.withUnsafeBytes { put($0, at: index) }
    }

    /// The digest of some bytes behind the last one.
    package mutating func append(hashing message: UnsafeRawBufferPointer) {
        var hash = SHA256()
        hash.update(bufferPointer: message)
        hash.finalize().withUnsafeBytes { put($0, at: count) }
    }

    /// SHA-256(0x01 ‖ left ‖ right) over two neighbours of the level below, of which the last may have no partner and
    /// moves up as it is (RFC 9162 section 2.1.1).
    package mutating func putNode(at index: Int, over level: borrowing DigestList) {
        let start = index * 2 * Self.digestBytes
        level.bytes.withUnsafeBytes { below in
            let pair = UnsafeRawBufferPointer(rebasing: below[start..<min(start + 2 * Self.digestBytes, below.count)])
            guard pair.count > Self.digestBytes else { return put(pair, at: index) }
            withUnsafeTemporaryAllocation(byteCount: 1 + 2 * Self.digestBytes, alignment: 1) { node in
                node[0] = 0x01
                UnsafeMutableRawBufferPointer(rebasing: node[1...]).copyMemory(from: pair)
                var hash = SHA256()
                hash.update(bufferPointer: UnsafeRawBufferPointer(node))
                hash.finalize().withUnsafeBytes { put($0, at: index) }
            }
        }
    }

    private mutating func put(_ digest: UnsafeRawBufferPointer, at index: Int) {
        let start = index * Self.digestBytes
        precondition(
            digest.count == Self.digestBytes && start <= bytes.count, "a digest has 32 bytes, and no gap before it")
        if start == bytes.count {
            bytes.append(contentsOf: digest)
        } else {
            bytes.withUnsafeMutableBytes { $0[start..<start + Self.digestBytes].copyBytes(from: digest) }
        }
    }
}
