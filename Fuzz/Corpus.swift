import ByteCoding
import Crypt15
import Foundation
import Primitives
import TestSupport

/// The vectors, and what must be so whatever is done to them.
struct Corpus {
    private static let contentBytesMax: UInt64 = 8 << 20
    private static let mediaPrefix = "Media/"

    private let key: RootKey
    private let keyFile: [UInt8]
    private let files: [[UInt8]]
    /// What may come out of any file that is proven: what came out of one of the vectors.
    private let contents: Set<[UInt8]>
    private let streams: [[UInt8]]
    private let header: BackupHeader
    private let archive: [UInt8]
    private let media: (name: MediaName, bytes: [UInt8], content: [UInt8])
    private let metadata: (text: [UInt8], json: [UInt8])

    init(folder: String) throws {
        func bytes(_ name: String) throws -> [UInt8] {
            [UInt8](try Data(contentsOf: URL(filePath: "\(folder)/\(name)")))
        }
        keyFile = try bytes("encrypted_backup.key")
        let key = try RootKey.read(SecretBytes(copying: keyFile)).key
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        files = try names.filter { $0.contains(".crypt1") && !$0.contains("bomb") }.map(bytes)
        var contents: Set<[UInt8]> = []
        for file in files {
            let outcome = try Outcome.of(file, key, pieces: [.max])
            if outcome.reading.isWhole { contents.insert(Bytes.digest(outcome.content)) }
        }
        self.contents = contents
        guard case .header(let header) = BackupHeader.read(try bytes("e-minimal.crypt15")) else {
            throw Breach(what: "no header in e-minimal.crypt15")
        }
        let database = try bytes("tiny.db")
        streams = [1, 6, 9].map { Bytes.deflated(database, level: $0) }
        archive = try Outcome.of(try bytes("h-increment.crypt15"), key, pieces: [.max]).content
        let mediaName = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/Media")
            .first { $0.hasSuffix(MediaName.fileEnding) }
        guard let mediaName, let name = MediaName(fileName: mediaName) else { throw Breach(what: "no media file") }
        let mediaBytes = try bytes(Self.mediaPrefix + mediaName)
        media = (name, mediaBytes, try MediaOutcome.of(mediaBytes, name, key, pieces: [.max]).content)
        let text = try bytes(Self.mediaPrefix + mediaName + "-metadata")
        metadata = (text, try DriveMetadata.open(text, key: key))
        self.key = key
        self.header = header
    }

    func play(_ generator: inout SeededGenerator, _ tally: inout Tally) throws {
        switch generator.next() % 16 {
        case 0...6: try bendFile(&generator, &tally)
        case 7...9: try bendStream(&generator, &tally)
        case 10: try bendMedia(&generator, &tally)
        case 11: try bendMetadata(&generator, &tally)
        case 12...13: try bendKey(&generator, &tally)
        case 14: try bendArchive(&generator, &tally)
        default: try bendHeader(&generator, &tally)
        }
    }

    /// A proven file holds what a vector holds, however it was bent, cut, lengthened or joined.
    private func bendFile(_ generator: inout SeededGenerator, _ tally: inout Tally) throws {
        let file = Bytes.bent(Bytes.one(of: files, &generator), with: files, &generator)
        let pieces = Bytes.pieces(&generator)
        let one = try Outcome.of(file, key, pieces: [.max])
        tally.add(one.reading.verdict.rawValue)
        if one.reading.isWhole {
            try require(contents.contains(Bytes.digest(one.content)), "proven content that no vector has")
        }
        if let header = one.reading.header {
            try require(file.starts(with: header.bytes), "a header that is not the file's beginning")
            try require(header.withNonce(header.nonce) == header.bytes, "a nonce that is not where it is said to be")
        }
        try requireSame(one, try Outcome.of(file, key, pieces: pieces), file, pieces)
        if let probe = HeadProbe(start: Array(file.prefix(HeadProbe.fileBytesMax))) { _ = try probe.fits(key) }
    }

    /// What is sealed rightly but compressed wrongly comes out the same in pieces of any size, or is refused for the same reason.
    private func bendStream(_ generator: inout SeededGenerator, _ tally: inout Tally) throws {
        let stream = Bytes.bent(Bytes.one(of: streams, &generator), with: streams, &generator)
        let file = try Bytes.sealed(stream, key, header)
        let pieces = Bytes.pieces(&generator)
        let one = try Outcome.of(file, key, pieces: [.max])
        try require(one.reading.verdict == .ok, "a sealed file that is not ok, but \(one.reading.verdict)")
        try require(one.content.count <= 1_032 * (stream.count + 1), "more than deflate can yield")
        tally.add(one.reading.problem == nil ? "stream whole" : "stream refused")
        try requireSame(one, try Outcome.of(file, key, pieces: pieces), file, pieces)
    }

    private func requireSame(_ one: Outcome, _ other: Outcome, _ file: [UInt8], _ pieces: [Int]) throws {
        try require(
            one.reading.verdict == other.reading.verdict && one.reading.problem == other.reading.problem,
            "\(one.reading.verdict) \(String(describing: one.reading.problem)), and \(other.reading.verdict) "
                + "\(String(describing: other.reading.problem)) in pieces of \(pieces)")
        if one.reading.isWhole { try require(one.content == other.content, "other content in pieces of \(pieces)") }
    }

    private func bendHeader(_ generator: inout SeededGenerator, _ tally: inout Tally) throws {
        let head = Array(Bytes.one(of: files, &generator).prefix(600))
        let bent = Bytes.bent(head, with: files, &generator)
        guard case .header(let read) = BackupHeader.read(bent) else { return tally.add("header refused") }
        tally.add("header read")
        try require(bent.starts(with: read.bytes) && read.nonce.count == 16, "a header that is not the file's")
        let again = read.withNonce([UInt8](repeating: 0xa5, count: 16))
        guard case .header(let spliced) = BackupHeader.read(again) else {
            throw Breach(what: "a spliced header is none")
        }
        try require(spliced.claims == read.claims && spliced.nonceRange == read.nonceRange, "a splice changed more")
    }

    private func bendMedia(_ generator: inout SeededGenerator, _ tally: inout Tally) throws {
        let bytes = Bytes.bent(media.bytes, with: files, &generator)
        let outcome = try MediaOutcome.of(bytes, media.name, key, pieces: Bytes.pieces(&generator))
        tally.add("media \(outcome.verdict.rawValue)")
        try require(
            outcome.verdict != .ok || outcome.content == media.content, "other content of a media file is proven")
    }

    private func bendMetadata(_ generator: inout SeededGenerator, _ tally: inout Tally) throws {
        let text = Bytes.bent(metadata.text, with: [metadata.text], &generator)
        guard let json = try? DriveMetadata.open(text, key: key) else { return tally.add("metadata refused") }
        tally.add("metadata read")
        try require(json == metadata.json, "other metadata is proven")
    }

    private func bendKey(_ generator: inout SeededGenerator, _ tally: inout Tally) throws {
        let forms = [keyFile, Array(key.revealGroups().joined(separator: " ").utf8), Array(keyFile.suffix(32))]
        let input = Bytes.bent(Bytes.one(of: forms, &generator), with: forms, &generator)
        guard let read = try? RootKey.read(SecretBytes(copying: input)).key else { return tally.add("key refused") }
        tally.add("key read")
        try require(try RootKey.read(read.keyFile()).key.secret.isEqual(to: read.secret), "a key file of another key")
        let digits = Array(read.revealGroups().joined(separator: "-").utf8)
        try require(try RootKey.read(SecretBytes(copying: digits)).key.secret.isEqual(to: read.secret), "other digits")
    }

    private func bendArchive(_ generator: inout SeededGenerator, _ tally: inout Tally) throws {
        let bent = Bytes.bent(archive, with: [archive], &generator)
        let read = { (place: UInt64, count: Int) -> [UInt8]? in
            guard place <= UInt64(bent.count) else { return nil }
            return Array(bent[Int(place)...].prefix(count))
        }
        guard let directory = try? ZipDirectory(byteCount: UInt64(bent.count), read: read) else {
            return tally.add("archive refused")
        }
        tally.add("archive read")
        for member in directory.members {
            let content = try? directory.content(of: member.name, bytesMax: 4_096, read: read)
            try require((content?.count ?? 0) <= 4_096, "a member of more bytes than allowed")
        }
    }
}

/// What is said of a file that was fed in pieces.
struct Outcome {
    let reading: BackupReading
    let content: [UInt8]

    static func of(_ file: [UInt8], _ key: RootKey, pieces: [Int]) throws -> Outcome {
        let reader = try BackupReader(key: key, contentBytesMax: 8 << 20)
        var content: [UInt8] = []
        Bytes.feed(file, pieces) { piece in reader.feed(piece) { content += $0 } }
        let reading = reader.finish { content += $0 }
        return Outcome(reading: reading, content: content)
    }
}

struct MediaOutcome {
    let verdict: Verdict
    let content: [UInt8]

    static func of(_ file: [UInt8], _ name: MediaName, _ key: RootKey, pieces: [Int]) throws -> MediaOutcome {
        let reader = try MediaReader(name: name, key: key)
        var content: [UInt8] = []
        Bytes.feed(file, pieces) { piece in reader.feed(piece) { content += $0 } }
        return MediaOutcome(verdict: reader.finish().verdict, content: content)
    }
}
