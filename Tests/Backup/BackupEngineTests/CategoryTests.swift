import BackupEngine
import BackupFormat
import Foundation
import Testing

@Suite struct `What a file is` {
    @Test(arguments: [
        ("databases/msgstore.db", Category.messages), ("ChatStorage.sqlite", .messages), ("x/wa.db-wal", .messages),
        ("Backups/msgstore-2024.1.db.crypt15", .messages), ("_chat.txt", .messages),
        ("WhatsApp Chat with the choir.txt", .messages), ("Media/WhatsApp Images/IMG-1-WA1.JPG", .photos),
        ("a.HEIC", .photos), ("Media/WhatsApp Stickers/STK-1.webp", .stickers), ("stickers/a.png", .stickers),
        ("STK.was", .stickers), ("Media/WhatsApp Video/VID-1.mp4", .videos),
        ("Media/WhatsApp Animated Gifs/VID-2.mp4", .videos), ("Media/WhatsApp Voice Notes/202401/PTT-1.opus", .voice),
        ("Media/WhatsApp Audio/AUD-1.m4a", .voice), ("voice/a.mp4", .voice), ("voice/a", .voice),
        ("Media/WhatsApp Documents/DOC-1.pdf", .documents), ("Documents/photo.jpg", .photos),
        ("Documents/LICENSE", .documents), ("Media/WhatsApp Documents/Sent/photo.jpg", .documents),
        ("Media/WhatsApp Documents/old.db", .messages), ("Media/.Statuses/a.jpg", .statuses),
        ("Media/.Statuses/a.mp4", .statuses), ("Media/WhatsApp Business Video/a", .videos),
        ("Media/WhatsApp Video Notes/a.mp4", .videos), ("Media/WhatsApp Profile Photos/x", .photos),
        ("Media/WhatsApp Nothing/a.jpg", .photos), ("bin/share-hook", .other), ("a", .other), ("a.", .other),
        (".jpg", .photos),
        ("photos/thing.xyz", .photos), ("db", .other), ("", .other),
    ])
    func `follows from its name and its folders`(path: String, category: BackupEngine.Category) {
        #expect(Category(of: Array(path.utf8), form: .asIs) == category)
    }

    @Test func `is messages if it is a database, whatever its name`() {
        #expect(Category(of: Array("wallpaper.jpg".utf8), form: .sqliteImage) == .messages)
        #expect(Category(of: Array("x".utf8), form: .sqlitePages) == .messages)
    }

    @Test func `needs no valid text for a name`() {
        #expect(Category(of: [0xff, 0x2f, 0xfe] + Array(".JPG".utf8), form: .asIs) == .photos)
    }

    @Test(
        arguments: [
            ([0xff, 0xd8, 0xff, 0xe0], Category.photos), (Array("RIFF....WEBPVP8 ".utf8), .photos),
            (Array("RIFF....WAVEfmt ".utf8), .voice), (Array("....ftypmp42".utf8), .videos),
            (Array("....ftypM4A ".utf8), .voice), (Array("....ftypheic".utf8), .photos), (Array("OggS".utf8), .voice),
            (Array("%PDF-1.4".utf8), .documents), (Array("SQLite format 3\0".utf8), .messages),
            (Array("GIF89a".utf8), .photos),
        ] as [([UInt8], BackupEngine.Category)])
    func `follows from its first bytes where the name says nothing`(
        bytes: [UInt8], category: BackupEngine.Category
    ) {
        #expect(Category(beginning: bytes) == category)
    }

    @Test func `is nothing in particular otherwise`() {
        for bytes: [UInt8] in [[], [0], Array("hello, world, how are you".utf8), [0xff, 0xd8]] {
            #expect(Category(beginning: bytes) == nil)
        }
    }
}

@Suite struct `A restore of a part` {
    private func made() async throws -> (TemporaryFolder, Wing, TemporaryFolder) {
        let source = try TemporaryFolder()
        for name in ["m/a.jpg", "m/deep/b.mp4", "m/c.pdf", "n/d.jpg", "top.jpg"] {
            try source.makeFolder(String(name.split(separator: "/").dropLast().joined(separator: "/")))
            try source.write(Array(name.utf8), to: name)
        }
        try source.makeFolder("empty")
        try source.setModified("m", seconds: 5, nanoseconds: 6)
        let wing = try await Wing(MemoryStore())
        try await wing.backUp(source.path)
        return (source, wing, try TemporaryFolder())
    }

    @Test func `takes several paths, each with its own folders and no other`() async throws {
        let (source, wing, target) = try await made()
        let report = try await wing.restore(to: target("r"), only: "m/deep", "/n/d.jpg/")
        #expect(report.files == 2 && report.missing == [])
        let lines = Set(try FolderDescription(target("r")).lines.keys)
        #expect(lines == [".", "./m", "./m/deep", "./m/deep/b.mp4", "./n", "./n/d.jpg"])
        let all = try await wing.restore(to: target("all"), only: "m", "")
        #expect(all.files == 5)
        #expect(try FolderDescription(target("all")).differences(from: FolderDescription(source.path)) == [])
    }

    @Test func `takes what is wanted, without folders that would be empty`() async throws {
        let (_, wing, target) = try await made()
        let report = try await wing.restore(
            to: target("r"),
            wants: { path, entry in
                guard case .file(let content) = entry.kind else { return false }
                return Category(of: path, form: content.form) == .videos
            })
        #expect(report.files == 1 && report.directories == 2)
        let there = try FolderDescription(target("r"))
        #expect(Set(there.lines.keys) == [".", "./m", "./m/deep", "./m/deep/b.mp4"])
        // A folder that was made on the way has its own attributes.
        #expect(there.lines["./m"]?.contains(" 5.6") == true)
    }

    @Test func `names what it cannot make for something in its way, and goes on`() async throws {
        let (_, wing, target) = try await made()
        try target.makeFolder("r")
        try target.write([1], to: "r/m")
        let report = try await wing.restore(to: target("r"), intoExisting: true, wants: { _, _ in true })
        #expect(report.files == 2)
        let missing = Set(report.missing.map { String(decoding: $0.path, as: UTF8.self) })
        #expect(missing == ["m/a.jpg", "m/deep/b.mp4", "m/c.pdf"])
        let whole = try await wing.restore(to: target("r"), intoExisting: true)
        #expect(Set(whole.missing.map { String(decoding: $0.path, as: UTF8.self) }) == ["m"])
        #expect(whole.filesKept == 2)
        #expect(try target.read("r/m") == [1])
    }
}
