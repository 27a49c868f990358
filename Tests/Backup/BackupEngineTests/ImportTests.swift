import BackupEngine
import BackupFormat
import Crypt15
import Foundation
import GRDB
import Primitives
import TestSupport
import Testing

@testable import BackupSources

/// A file in memory, in whose bytes a test can look, and which can be full.
private final class MemoryFile: DeviceFile, @unchecked Sendable {
    // One test uses it.
    var bytes: [UInt8] = []
    var bytesMax = Int.max

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) -> Bool {
        guard Int(offset) + buffer.count <= bytes.count else { return false }
        buffer.copyBytes(from: bytes[Int(offset)..<Int(offset) + buffer.count])
        return true
    }

    func write(_ new: UnsafeRawBufferPointer, at offset: UInt64) -> Bool {
        let end = Int(offset) + new.count
        guard end <= bytesMax else { return false }
        if bytes.count < end { bytes += [UInt8](repeating: 0, count: end - bytes.count) }
        bytes.replaceSubrange(Int(offset)..<end, with: new)
        return true
    }
}

private func sealed(_ content: [UInt8], in file: MemoryFile = MemoryFile(), pieces: Int = 100_000) throws -> SealedFile
{
    let sealed = SealedFile(SealedSpace(file))
    for start in stride(from: 0, to: content.count, by: pieces) {
        try content[start..<min(start + pieces, content.count)].withUnsafeBytes { try sealed.append($0) }
    }
    try sealed.endWriting()
    return sealed
}

private func read(_ file: SealedFile, _ offset: Int, _ count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    try bytes.withUnsafeMutableBytes { try file.read(into: $0, at: UInt64(offset)) }
    return bytes
}

@Suite struct `Content that waits to be backed up` {
    @Test func `is read back at any place`() throws {
        for count in [0, 1, 262_143, 262_144, 262_145, 1_000_000] {
            let content = noise(count, seed: UInt64(count))
            let file = try sealed(content, pieces: 77_777)
            #expect(file.byteCount == UInt64(count))
            #expect(try read(file, 0, count) == content)
            for (start, length) in [(0, 100), (262_100, 100), (500_000, 300_000), (count - 1, 1), (count, 0)]
            where start >= 0 && start + length <= count {
                #expect(try read(file, start, length) == Array(content[start..<start + length]))
            }
            #expect(throws: SourceError.changed) { try read(file, count, 1) }
        }
    }

    @Test func `lies behind other content in one file, and each is read back`() throws {
        let file = MemoryFile()
        let space = SealedSpace(file)
        let contents = [0, 5, 262_144, 300_000, 0, 1].map { noise($0, seed: UInt64($0)) }
        let files = try contents.map { content in
            let sealed = SealedFile(space)
            try content.withUnsafeBytes { try sealed.append($0) }
            try sealed.endWriting()
            return sealed
        }
        #expect(file.bytes.count == 5 * (262_144 + 16))
        for _ in 0..<2 {
            for (content, sealed) in zip(contents, files) {
                #expect(try read(sealed, 0, content.count) == content)
                sealed.letGoOfBuffers()
            }
        }
    }

    @Test func `has messages if its schema makes their table, and not if something tells of it`() throws {
        for (tables, hasMessages) in [(0, false), (0, true), (300, true), (300, false)] {
            let folder = try TemporaryFolder()
            let queue = try DatabaseQueue(path: folder("a.db"))
            try queue.write { database in
                for number in 0..<tables {
                    try database.execute(sql: "CREATE TABLE t\(number) (a, b, c, d, e, f, g, h)")
                }
                try database.execute(sql: "CREATE TABLE notes (text)")
                if hasMessages { try database.execute(sql: "CREATE TABLE message (_id INTEGER PRIMARY KEY, text)") }
                for _ in 0..<100 {
                    try database.execute(sql: "INSERT INTO notes VALUES ('CREATE TABLE message (_id INTEGER)')")
                }
            }
            try queue.close()
            let image = try folder.read("a.db")
            #expect(SchemaSearch.hasMessages(in: try sealed(image)) == hasMessages)
            // Cut and bent ones say something, and end.
            for count in [0, 99, 100, 101, 600, 5_000] where count < image.count {
                _ = SchemaSearch.hasMessages(in: try sealed(Array(image[..<count])))
            }
            var bent = image
            for place in stride(from: 100, to: min(4_096, image.count), by: 3) { bent[place] = 0xff }
            for kind in [UInt8(5), 13] {
                bent[100] = kind
                #expect(!SchemaSearch.hasMessages(in: try sealed(bent)))
            }
        }
    }

    @Test func `is noise on the disk, and other noise each time`() throws {
        let content = [UInt8](repeating: 0x41, count: 600_000)
        let (one, two) = (MemoryFile(), MemoryFile())
        _ = try sealed(content, in: one)
        _ = try sealed(content, in: two)
        #expect(one.bytes != two.bytes && one.bytes.count >= content.count)
        let pattern = [UInt8](repeating: 0x41, count: 8)[...]
        #expect(!stride(from: 0, to: one.bytes.count - 8, by: 1).contains { one.bytes[$0..<$0 + 8] == pattern })
    }

    @Test func `is refused if the disk gives back anything else, and said if it is full`() throws {
        let file = MemoryFile()
        let content = try sealed(noise(600_000, seed: 1), in: file)
        file.bytes[300_000] ^= 1
        _ = try read(content, 0, 1_000)
        #expect(throws: SourceError.self) { try read(content, 270_000, 10) }
        _ = try read(content, 0, 1_000)
        let full = MemoryFile()
        full.bytesMax = 300_000
        #expect(throws: SealedFile.Failure.self) { try sealed(noise(600_000, seed: 1), in: full) }
    }
}

@Suite struct `An import` {
    private func database() throws -> (TemporaryFolder, [UInt8]) {
        let folder = try TemporaryFolder()
        let database = try ChatDatabase(folder("a.db"), setUp: "PRAGMA journal_mode = DELETE")
        try database.add(400)
        try database.execute("DELETE FROM messages WHERE id > 300; UPDATE sums SET count = 300, bytes = 210000")
        try database.close()
        return (folder, try folder.read("a.db"))
    }

    private func source(_ files: [(String, [UInt8], Bool)], media: String? = nil) throws -> ImportedSource {
        try ImportedSource(
            label: "imported",
            files: files.map {
                ImportedFile(
                    path: Array($0.0.utf8), content: try sealed($0.1), isDatabase: $0.2, modifiedSeconds: 1_700_000_000,
                    modifiedNanoseconds: 5)
            }, media: media)
    }

    @Test func `comes back byte for byte, free pages too, and is small the next time`() async throws {
        let (folder, image) = try database()
        // The counter of free pages in SQLite's header.
        #expect(image[36..<40].contains { $0 != 0 }, "the test's database must have some")
        let wing = try await Wing(MemoryStore())
        let copies = CopyFolder(path: folder("copies"))
        let first = try await wing.backUp(
            try source([("Databases/msgstore.db", image, true), ("Backups/odd", [1, 2, 3], true)]), copies: copies)
        var next = image
        next.replaceSubrange(image.count - 100..<image.count, with: noise(100, seed: 3))
        let second = try await wing.backUp(try source([("Databases/msgstore.db", next, true)]), copies: copies)
        #expect(second.storedBytes * 10 < first.storedBytes)
        let target = try TemporaryFolder()
        #expect(try await wing.restore(to: target("1"), number: 0).missing == [])
        #expect(try await wing.restore(to: target("2")).missing == [])
        #expect(try target.read("1/Databases/msgstore.db") == image)
        #expect(try target.read("1/Backups/odd") == [1, 2, 3])
        #expect(try target.read("2/Databases/msgstore.db") == next)
        #expect(try await wing.verify().findings == [])
    }

    @Test func `has the media folder in it, whatever is in that`() async throws {
        let media = try TemporaryFolder()
        for name in ["WhatsApp Images/a.jpg", "Databases/x", "Media/y", "z"] {
            try media.makeFolder(String(name.split(separator: "/").dropLast().joined(separator: "/")))
            try media.write(Array(name.utf8), to: name)
        }
        let wing = try await Wing(MemoryStore())
        let files: [(String, [UInt8], Bool)] = [("Databases/m.db", [1], false), ("Backups/empty", [], false)]
        let report = try await wing.backUp(try source(files, media: media.path))
        #expect(report.snapshot.totals.files == 6 && report.snapshot.skipped.isEmpty)
        let target = try TemporaryFolder()
        #expect(try await wing.restore(to: target("r")).missing == [])
        for name in ["WhatsApp Images/a.jpg", "Databases/x", "Media/y", "z"] {
            #expect(try target.read("r/Media/\(name)") == Array(name.utf8))
        }
        #expect(try target.read("r/Backups/empty") == [])
        #expect(throws: SourceError.self) { try source([], media: media("none")) }
    }

    @Test(
        arguments: [
            ("msgstore.db.crypt15", ContentKind.sqlite, "Databases/msgstore.db", DumpPlace.Kind.full),
            ("msgstore-2026-01-02.1.db.crypt15", .sqlite, "Databases/msgstore.db", .full),
            ("msgstore (1).db.CRYPT15", .sqlite, "Databases/msgstore.db", .full),
            ("msgstore.db.crypt15", .zip, "Backups/msgstore.db", .other),
            ("chats.crypt15", .sqlite, "Databases/msgstore.db", .full),
            ("msgstore-increment-1.db.crypt15", .zip, "Databases/msgstore-increment-1.db.zip", .increment),
            ("msgstore-increment-1.db.crypt15", .other, "Databases/msgstore-increment-1.db", .increment),
            ("wa.db.crypt15", .sqlite, "Backups/wa.db", .other), (".crypt15", .other, "Backups/backup", .other),
            ("...crypt15", .other, "Backups/backup", .other), ("x", .other, "Backups/x", .other),
        ])
    func `has a place for each file`(name: String, content: ContentKind, path: String, kind: DumpPlace.Kind) {
        let place = DumpPlace(
            name: name, content: content, hasMessages: ["chats", "wa"].contains { name.hasPrefix($0) })
        #expect(String(decoding: place.path, as: UTF8.self) == path && place.kind == kind)
    }
}

@Suite struct `A path that metadata tell` {
    @Test(arguments: ["a", "Media/WhatsApp Images/IMG.jpg", "...", "a/..b", " ", "\u{1b}[2J", "a\\b"])
    func `leads down`(path: String) {
        #expect(MediaClaims.confined(path)?.joined(separator: [0x2f]).elementsEqual(path.utf8) == true)
    }

    @Test(arguments: [
        "", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "../a", "a\0", String(repeating: "a/", count: 40),
    ])
    func `or is not followed`(path: String) { #expect(MediaClaims.confined(path) == nil) }

    @Test func `is read from any JSON, and from nothing else`() {
        for text in ["", "[]", "{", "\"a\"", "null"] {
            #expect(MediaClaims(json: Array(text.utf8)) == nil, "\(text)")
        }
        let claims = MediaClaims(json: Array("{\"name\":\"../x\",\"updateTime\":\"yesterday\",\"more\":[1]}".utf8))
        #expect(claims?.pathText == "../x" && claims?.path == nil && claims?.modifiedSeconds == nil)
        #expect(claims?.isAbout(contentMD5: []) == nil)
        let dated = MediaClaims(json: Array("{\"updateTime\":\"2026-01-01T00:00:00+00:00\",\"md5Hash\":\"00FF\"}".utf8))
        #expect(dated?.modifiedSeconds == 1_767_225_600 && dated?.isAbout(contentMD5: [0, 255]) == true)
        #expect(dated?.isAbout(contentMD5: [0, 254]) == false)
        // What is no text counts as not there, and the rest stays.
        let odd = MediaClaims(json: Array("{\"name\":\"a\",\"md5Hash\":5,\"updateTime\":[]}".utf8))
        #expect(odd?.pathText == "a" && odd?.isAbout(contentMD5: []) == nil)
        let unnamed = MediaClaims(json: Array("{\"name\":5}".utf8))
        #expect(unnamed != nil && unnamed?.pathText == nil)
    }
}
