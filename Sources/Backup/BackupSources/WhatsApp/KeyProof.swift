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

    private let file: GivenFile
    private let probe: HeadProbe

    package init(_ path: String) throws(Failure) {
        let file: GivenFile
        do { file = try GivenFile(Array(path.utf8)) } catch { throw .unreadable(error.words) }
        guard let head = try? file.handle.bytes(at: 0, count: HeadProbe.fileBytesMax) else {
            throw .unreadable(systemMessage())
        }
        guard let probe = HeadProbe(start: head) else { throw .notABackup }
        self.file = file
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
        let failure = try file.read(pieceBytes: Self.pieceBytes) { piece throws(Failure) in
            reader.feed(piece)
        }
        if let failure { throw .unreadable(failure.words) }
        return reader.finish() ? .whole : fits ? .beginning : .none
    }
}
