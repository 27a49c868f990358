package import Primitives

/// Whether a key may open a file, judged by its first bytes: some hundred keys in a hundredth of a second
/// (Specs/crypt15.md, section 3). Only the tag decides; this says where trying is worth the whole file.
package struct HeadProbe: Sendable {
    /// As much of a file as a probe looks at.
    package static let fileBytesMax = BackupHeader.messageBytesMax + 3 + probeBytes
    private static let probeBytes = 512

    package let header: BackupHeader
    private let ciphertext: [UInt8]

    /// - Parameter start: the first bytes of the file, `fileBytesMax` of them or all there are.
    /// - Returns: nil if this is no `.crypt15`.
    package init?(start: [UInt8]) {
        guard case .header(let header) = BackupHeader.read(start) else { return nil }
        self.header = header
        ciphertext = Array(start[header.bytes.count...].prefix(Self.probeBytes))
    }

    package func fits(_ key: RootKey) throws(MissingLibrary) -> Bool {
        try Inflate.requireLibrary()
        let cipher = try AES256GCMStream(key: key.backupKey(), nonce: header.nonce, .decrypt)
        let content = ContentReader(bytesMax: .max)
        let opened = cipher.update(ciphertext)
        opened.withUnsafeBytes { content.feed($0) { _ in } }
        return content.isRecognised
    }
}
