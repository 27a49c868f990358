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

    /// How far a key opens it.
    package enum Reach: Sendable {
        case none
        /// What comes out first can hardly be chance: the key is right, and the file is damaged.
        case beginning
        case whole
    }

    private let handle: FileHandleOwner
    private let probe: HeadProbe

    package init(_ path: String) throws(Failure) {
        guard let handle = FileHandleOwner(systemPath(Array(path.utf8)), followingLink: true),
            let status = FileStatus.of(handle.file)
        else { throw .unreadable(systemMessage()) }
        guard status.type == S_IFREG else { throw .unreadable("it is no file") }
        guard let head = try? handle.bytes(at: 0, count: HeadProbe.fileBytesMax) else {
            throw .unreadable(systemMessage())
        }
        guard let probe = HeadProbe(start: head) else { throw .notABackup }
        self.handle = handle
        self.probe = probe
    }

    /// - Parameter isLikely: read the whole file even if nothing that is known comes out first.
    package func reach(of key: RootKey, isLikely: Bool) throws(Failure) -> Reach {
        let reader: TagReader
        let fits: Bool
        do {
            fits = try probe.fits(key)
            guard fits || isLikely else { return .none }
            reader = try TagReader(probe.header, key: key)
        } catch {
            throw .missingLibrary(error)
        }
        let failure = try readWhole(handle.file, pieceBytes: Self.pieceBytes) { piece throws(Failure) in
            reader.feed(piece)
        }
        if let failure { throw .unreadable(failure) }
        return reader.finish() ? .whole : fits ? .beginning : .none
    }
}
