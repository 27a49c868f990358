package import BackupEngine
package import Crypt15
import Foundation
package import Primitives

/// What became of one `.mcrypt1`.
package struct MediaOutcome: Sendable {
    /// What the file's metadata say, and whether they may be believed.
    package enum Naming: String, Sendable {
        /// There are no metadata beside the file.
        case none
        /// They name the file, and its content with it.
        case confirmed
        /// They are from whoever has the key; nothing tells that they belong to this file.
        case unconfirmed
        /// They are about another content: somebody put them beside this file.
        case ofAnotherFile = "of-another-file"
        case damagedOrWrongKey = "damaged-or-wrong-key"
        /// They are from whoever has the key, and tell no name.
        case noName = "no-name"
        /// They are from whoever has the key, and are not what is known of such metadata.
        case malformed
        /// Their path leads elsewhere than below a folder.
        case refusedPath = "refused-path"
    }

    /// From the folder that is opened.
    package var file: [UInt8]
    /// nil if it could not be read.
    package var verdict: Verdict?
    package var naming = Naming.none
    /// The path in the metadata, of which the MAC is right.
    package var claimedPath: String?
    /// From the output folder; nil if nothing was written.
    package var output: [UInt8]?
    /// The very content was in the output folder already.
    package var wasThere = false
    package var bytes: UInt64 = 0
    /// The name that opened it was computed from the metadata: the file's own is not, or no more, the one it was sealed under.
    package var wasRenamed = false
    /// Why it could not be read, or did not get the name that was meant for it.
    package var problem: String?

    init(file: [UInt8], verdict: Verdict?) {
        self.file = file
        self.verdict = verdict
    }

    /// Of a file or a folder that cannot be looked at.
    package init(unreadable path: [UInt8]) {
        self.init(file: path, verdict: nil)
        problem = "permission is missing, or the disk fails"
    }
}

/// A folder of `.mcrypt1` files, with or without their metadata.
package struct MediaFolder {
    private static let pieceBytes = 1 << 20

    private let base: [UInt8]
    private let source: FolderSource
    private let key: RootKey

    package init(path: String, key: RootKey) throws(SourceError) {
        base = Array(path.utf8)
        source = try FolderSource(path: path)
        self.key = key
    }

    /// The files, however deep, by folder and name, and what cannot be looked at.
    package func files() throws(SourceError) -> (media: [[UInt8]], unreadable: [[UInt8]]) {
        let files = try FilesBelow(source) { $0.suffix(8).elementsEqual(MediaName.fileEnding.utf8) }
        return (files.paths, files.unreadable)
    }

    /// Opens one of the files into the folder; what is not proven gets no name there.
    package func open(_ path: [UInt8], into folder: OutputFolder) throws(OpeningError) -> MediaOutcome {
        var outcome = MediaOutcome(file: path, verdict: .notABackup)
        let claims = try claims(of: path, &outcome)
        for name in names(of: path, claims) {
            let file = try put { () throws(OutputError) in try folder.newFile() }
            guard let opened = try read(path, name, into: file, &outcome) else { return outcome }
            outcome.verdict = opened.verdict
            guard opened.verdict.isProven else { continue }
            outcome.bytes = opened.bytes
            outcome.wasRenamed = name != MediaName(fileName: Self.lastName(path))
            try publish(file, opened, name, claims, &outcome)
            return outcome
        }
        return outcome
    }

    /// Its own name, and what its metadata say that its name is.
    private func names(of path: [UInt8], _ claims: MediaClaims?) -> [MediaName] {
        let own = MediaName(fileName: Self.lastName(path))
        let claimed = claims?.mediaName(key: key)
        return [own, own == claimed ? nil : claimed].compactMap { $0 }
    }

    private static func lastName(_ path: [UInt8]) -> String {
        String(decoding: path.split(separator: UInt8(ascii: "/")).last ?? [], as: UTF8.self)
    }

    private func put<Result>(_ body: () throws(OutputError) -> Result) throws(OpeningError) -> Result {
        do { return try body() } catch { throw .output(error) }
    }

    // MARK: Content

    private struct Opened {
        let verdict: Verdict
        let contentMD5: [UInt8]
        let bytes: UInt64
        let head: [UInt8]
    }

    /// nil if the file cannot be read, which the outcome says.
    private func read(
        _ path: [UInt8], _ name: MediaName, into file: OutputFile, _ outcome: inout MediaOutcome
    ) throws(OpeningError) -> Opened? {
        let reader: MediaReader
        do { reader = try MediaReader(name: name, key: key) } catch { throw .missingLibrary(error) }
        guard let handle = FileHandleOwner(systemPath(base, path)) else {
            outcome.problem = systemMessage()
            outcome.verdict = nil
            return nil
        }
        var head: [UInt8] = []
        outcome.problem = try readWhole(handle.file, pieceBytes: Self.pieceBytes) { piece throws(OpeningError) in
            try reader.feed(piece) { opened throws(OpeningError) in
                if head.count < 16 { head += opened.prefix(16 - head.count) }
                try put { () throws(OutputError) in try file.write(opened) }
            }
        }
        guard outcome.problem == nil else {
            outcome.verdict = nil
            return nil
        }
        let (verdict, md5) = reader.finish()
        return Opened(verdict: verdict, contentMD5: md5, bytes: reader.bytesOut, head: head)
    }

    // MARK: Names

    private func claims(of path: [UInt8], _ outcome: inout MediaOutcome) throws(OpeningError) -> MediaClaims? {
        let beside = systemPath(base, path + Array("-metadata".utf8))
        guard let file = FileHandleOwner(beside), let status = FileStatus.of(file.file), status.type == S_IFREG else {
            return nil
        }
        outcome.naming = .damagedOrWrongKey
        guard status.bytes <= UInt64(DriveMetadata.textBytesMax),
            let text = try? file.bytes(at: 0, count: Int(status.bytes))
        else { return nil }
        do throws(DriveMetadata.Refusal) {
            let json = try DriveMetadata.open(text, key: key)
            outcome.naming = .malformed
            guard let claims = MediaClaims(json: json) else { return nil }
            outcome.claimedPath = claims.pathText
            outcome.naming = claims.pathText == nil ? .noName : claims.path == nil ? .refusedPath : .unconfirmed
            return claims
        } catch {
            if case .missingLibrary(let error) = error { throw .missingLibrary(error) }
            return nil
        }
    }

    private func publish(
        _ file: OutputFile, _ opened: Opened, _ name: MediaName, _ claims: MediaClaims?, _ outcome: inout MediaOutcome
    ) throws(OpeningError) {
        let ownName = Array(
            (name.fileName.dropLast(MediaName.fileEnding.count) + mediaEnding(ofContent: opened.head)).utf8)
        if let claims, let text = claims.pathText, let path = claims.path {
            if MediaName(path: text, contentMD5: opened.contentMD5, key: key) == name {
                outcome.naming = .confirmed
            } else if let isAbout = claims.isAbout(contentMD5: opened.contentMD5) {
                outcome.naming = isAbout ? .confirmed : .ofAnotherFile
            }
            if outcome.naming != .ofAnotherFile {
                do {
                    (outcome.output, outcome.wasThere) = try file.publish(
                        at: path, modifiedSeconds: claims.modifiedSeconds)
                    return
                } catch .place(let words) {
                    // It is proven, and goes under the name that the cloud gave it.
                    outcome.problem = words
                } catch {
                    throw .output(error)
                }
            }
        }
        (outcome.output, outcome.wasThere) = try put { () throws(OutputError) in
            try file.publish(at: [ownName], modifiedSeconds: nil)
        }
    }
}

/// Why the opening of files had to stop; what was done until then is whole.
package enum OpeningError: Error, Equatable, Sendable {
    case output(OutputError)
    case missingLibrary(MissingLibrary)
}
