package import Crypt15
import Foundation
package import Primitives

/// One of WhatsApp's backups by which keys are tried: first by its head, and then, to the last byte, by its tag.
package struct KeyProof {
    private static let pieceBytes = 1 << 20

    package enum Failure: Error, Equatable, Sendable {
        case unreadable(String)
        /// It is none of WhatsApp's end-to-end encrypted backups, or has nothing in it by which a key could be told.
        case notABackup
        case missingLibrary(MissingLibrary)
    }

    private let handle: FileHandleOwner
    private let probe: HeadProbe

    package init(_ path: String) throws(Failure) {
        guard let handle = FileHandleOwner(systemPath(Array(path.utf8))), let status = FileStatus.of(handle.file) else {
            throw .unreadable(systemMessage())
        }
        guard status.type == S_IFREG else { throw .unreadable("it is no file") }
        guard let head = try? handle.bytes(at: 0, count: HeadProbe.fileBytesMax) else {
            throw .unreadable(systemMessage())
        }
        guard let probe = HeadProbe(start: head) else { throw .notABackup }
        self.handle = handle
        self.probe = probe
    }

    /// Whether the key opens the whole file.
    package func isOpened(by key: RootKey) throws(Failure) -> Bool {
        let reader: TagReader
        do {
            guard try probe.fits(key) else { return false }
            reader = try TagReader(probe.header, key: key)
        } catch {
            throw .missingLibrary(error)
        }
        let failure = try readWhole(handle.file, pieceBytes: Self.pieceBytes) { piece throws(Failure) in
            reader.feed(piece)
        }
        if let failure { throw .unreadable(failure) }
        return reader.finish()
    }
}
