import BackupEngine
import BackupFormat
import Foundation
import TestSupport
import Testing

@testable import BackupSources

/// 2026-06-01, 00:00 UTC.
private let june: Int64 = 1_780_272_000

private func superseded(_ names: [(String, UInt64, Int64)], unsound: String? = nil) -> Set<String> {
    let files = names.map {
        LocalDumps.File(
            name: Array($0.0.utf8), bytes: $0.1, modifiedSeconds: $0.2, isSound: $0.1 > 0 && $0.0 != unsound)
    }
    return Set(LocalDumps(files).superseded.map { String(decoding: $0, as: UTF8.self) })
}

/// What begins as a backup does.
private func dump(_ bytes: Int) throws -> [UInt8] {
    let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let vectors = tests.deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Specs/vectors")
    let vector = Array(try Data(contentsOf: vectors.appendingPathComponent("crypt15/a-2022-msgstore.db.crypt15")))
    return vector + noise(bytes, seed: 1)
}

private func superseded(_ names: String...) -> Set<String> { superseded(names.map { ($0, 1_000, june) }) }

@Suite struct `WhatsApp's own backups` {
    @Test(arguments: [
        "msgstore.db.crypt15", "msgstore-2026-01-31.1.db.crypt15", "msgstore-increment-12.db.crypt15",
        "msgstore-increment-1-2026-01-31.1.db.crypt15", "msgstore.db.crypt14",
    ])
    func `are known by their names`(name: String) { #expect(LocalDump(name: Array(name.utf8)) != nil) }

    @Test(arguments: [
        "msgstore.db", "msgstore.db.crypt", "msgstore.db.crypt15.tmp", "msgstore-2026-13-01.1.db.crypt15",
        "msgstore-2026-01-00.1.db.crypt15", "msgstore-2026-1-01.1.db.crypt15", "msgstore-2026-01-01.db.crypt15",
        "msgstore-increment-.db.crypt15", "msgstore-increment-99999999999999999999.db.crypt15", "wa.db.crypt15",
        "MSGSTORE.db.crypt15", "msgstore--.db.crypt15", "", "msgstore-2026-01-01.99999999999999999999.db.crypt15",
    ])
    func `are not what only looks like them`(name: String) { #expect(LocalDump(name: Array(name.utf8)) == nil) }

    @Test func `are replaced by the newest, with the increments to the older ones`() {
        #expect(
            superseded(
                "msgstore.db.crypt15", "msgstore-2026-05-30.1.db.crypt15", "msgstore-2026-05-31.1.db.crypt15",
                "msgstore-increment-1.db.crypt15", "msgstore-increment-1-2026-05-31.1.db.crypt15", "msgstore.db",
                "msgstore-increment-2-2026-05-30.1.db.crypt15", "notes.txt") == [
                    "msgstore-2026-05-30.1.db.crypt15", "msgstore-increment-2-2026-05-30.1.db.crypt15",
                ])
    }

    @Test func `of the newest day stay, with their increments, whatever the newest is`() {
        #expect(superseded("msgstore.db.crypt15", "msgstore-2026-05-31.1.db.crypt15") == [])
        // What came after a day of which there is no full one may belong to the one before.
        #expect(
            superseded(
                "msgstore.db.crypt15", "msgstore-2026-05-30.1.db.crypt15", "msgstore-2026-05-29.1.db.crypt15",
                "msgstore-increment-1-2026-05-31.1.db.crypt15") == ["msgstore-2026-05-29.1.db.crypt15"])
        #expect(
            superseded(
                [
                    ("msgstore-2026-05-31.1.db.crypt15", 1_000, june),
                    ("msgstore-2026-05-30.1.db.crypt15", 1_000, june),
                    ("msgstore-2026-05-29.1.db.crypt15", 1_000, june),
                ], unsound: "msgstore-2026-05-31.1.db.crypt15") == ["msgstore-2026-05-29.1.db.crypt15"])
    }

    @Test func `are not replaced by one that cannot be read, or has fewer than half of their bytes`() {
        let older = [
            ("msgstore-2026-05-31.1.db.crypt15", UInt64(1_001), june),
            ("msgstore-2026-05-30.1.db.crypt15", 1_001, june),
            ("msgstore-increment-1-2026-05-29.1.db.crypt15", 10, june),
        ]
        func left(_ bytes: UInt64, unsound: String? = nil) -> Int {
            superseded(older.dropFirst() + [("msgstore.db.crypt15", bytes, june)], unsound: unsound).count
        }
        #expect(superseded(older + [("msgstore.db.crypt15", 20, june)]).count == 2, "the newest day replaces them")
        #expect(left(501) == 1 && left(1_000) == 1, "the day before stays, and its increment goes")
        #expect(left(501, unsound: "msgstore.db.crypt15") == 1, "by the day after it")
        let two = [("msgstore-2026-05-29.1.db.crypt15", UInt64(1_001), june), ("msgstore.db.crypt15", 500, june)]
        let newer = ("msgstore-2026-05-30.1.db.crypt15", UInt64(500), june)
        #expect(superseded(two + [newer]) == [])
        #expect(superseded([two[0], ("msgstore.db.crypt15", 501, june), newer]).count == 1)
        #expect(
            superseded(
                [two[0], ("msgstore.db.crypt15", 2_000, june), newer], unsound: "msgstore.db.crypt15") == [])
    }

    @Test func `are replaced by the newest day where the newest itself is missing, with its increments kept`() {
        #expect(
            superseded(
                "msgstore-2025-12-31.1.db.crypt15", "msgstore-2026-05-31.1.db.crypt15",
                "msgstore-2026-05-31.2.db.crypt15", "msgstore-increment-1-2025-12-31.1.db.crypt15",
                "msgstore-increment-2-2026-05-31.2.db.crypt15") == [
                    "msgstore-2025-12-31.1.db.crypt15", "msgstore-increment-1-2025-12-31.1.db.crypt15",
                ])
        #expect(superseded("msgstore-2026-05-31.1.db.crypt15") == [])
        #expect(superseded("msgstore-increment-1-2026-05-31.1.db.crypt15", "msgstore-increment-2.db.crypt15") == [])
    }

    @Test func `are not replaced by what is empty, of another kind, or older than they are`() {
        let old = ("msgstore-2026-05-31.1.db.crypt15", UInt64(1_000), june)
        // Of little worth, so that it replaces nothing.
        let newestDay = ("msgstore-2026-06-01.1.db.crypt15", UInt64(1), june)
        func left(_ newest: (String, UInt64, Int64)) -> Int { superseded([newest, old, newestDay]).count }
        #expect(left(("msgstore.db.crypt15", 0, june)) == 0)
        #expect(left(("msgstore.db.crypt14", 1_000, june)) == 0)
        #expect(left(("msgstore.db.crypt15", 1_000, june - 40 * 86_400)) == 0)
        #expect(left(("msgstore.db.crypt15", 1_000, june - 86_400 - 1)) == 0)
        #expect(left(("msgstore.db.crypt15", 1_000, june - 86_400)) == 1)
        #expect(left(("msgstore.db.crypt15", 1_000, june)) == 1)
    }
}

@Suite struct `WhatsApp's folder` {
    private func made(_ files: String...) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        for file in files {
            try folder.makeFolder(String(file.split(separator: "/").dropLast().joined(separator: "/")))
            try folder.write(Array(file.utf8), to: file)
        }
        return folder
    }

    @Test func `is found where it is named, and below the phone's storage`() throws {
        let here = try made("Databases/msgstore.db.crypt15")
        #expect(try WhatsAppFolder.find(here.path + "//") == here.path)
        for place in WhatsAppFolder.placesBelow {
            let storage = try made("\(place)/Media/WhatsApp Images/IMG.jpg", "DCIM/a.jpg")
            #expect(try WhatsAppFolder.find(storage.path) == storage(place))
        }
        for file in ["databases/msgstore.db", "Media/0A.mcrypt1", "Backups/wa.db.crypt14"] {
            let folder = try made(file)
            #expect(try WhatsAppFolder.find(folder.path) == folder.path)
        }
    }

    @Test func `is told from what is none, and from two`() throws {
        let empty = try made("Databases/readme.txt", "Media/photos/a.jpg", "Backups/.crypt15", "x/msgstore.db")
        #expect(throws: WhatsAppFolderError.notWhatsApp) { try WhatsAppFolder.find(empty.path) }
        #expect(throws: WhatsAppFolderError.noFolder) { try WhatsAppFolder.find(empty("nothing")) }
        #expect(throws: WhatsAppFolderError.noFolder) { try WhatsAppFolder.find(empty("Databases/readme.txt")) }
        let two = try made("WhatsApp/Databases/msgstore.db", "com.whatsapp.w4b/WhatsApp Business/Backups/wa.db.crypt15")
        #expect(
            throws: WhatsAppFolderError.several([two("WhatsApp"), two("com.whatsapp.w4b/WhatsApp Business")])
        ) { try WhatsAppFolder.find(two.path) }
    }

    @Test func `is no source any more when there is nothing of WhatsApp's in it`() throws {
        let folder = try made("Databases/msgstore.db.crypt15")
        _ = try WhatsAppSource(path: folder.path, label: "whatsapp:x")
        try FileManager.default.removeItem(atPath: folder("Databases"))
        #expect(throws: SourceError.noSource("whatsapp:x")) {
            try WhatsAppSource(path: folder.path, label: "whatsapp:x")
        }
    }

    @Test func `keeps every dump that the newest one is too broken to replace`() throws {
        let whole = try dump(2_000)
        let name = "Databases/msgstore.db.crypt15"
        let old = "Databases/msgstore-2026-05-30.1.db.crypt15"
        func isSaved(_ newest: [UInt8], readable: Bool = true) throws -> Bool {
            let folder = try made("Databases/msgstore-increment-1.db.crypt15")
            // The newest day stays, and is too small to replace any.
            try folder.write(Array(whole[..<(whole.count / 3)]), to: "Databases/msgstore-2026-05-31.1.db.crypt15")
            try folder.write(whole, to: old)
            try folder.write(newest, to: name)
            if !readable { chmod(folder(name), 0) }
            let source = try WhatsAppSource(path: folder.path, label: "w")
            return !source.isSuperseded(try #require(source.node(at: Array(old.utf8))))
        }
        #expect(try !isSaved(whole))
        #expect(try isSaved(Array(whole[..<20])))
        #expect(try isSaved(Array(whole[..<(whole.count / 2)])))
        #expect(try isSaved(Array(whole.dropLast(whole.count / 4)) + [UInt8](repeating: 0, count: whole.count / 4)))
        #expect(try isSaved([UInt8](repeating: 0, count: whole.count)))
        #expect(try isSaved([UInt8](repeating: 7, count: whole.count)))
        #expect(try geteuid() == 0 || isSaved(whole, readable: false))
    }

    @Test func `is saved without older dumps, without a warning, and with them on request`() async throws {
        let folder = try made("Databases/other.txt", "Media/msgstore-2026-05-30.1.db.crypt15")
        let whole = try dump(2_000)
        for name in ["msgstore", "msgstore-2026-05-30.1", "msgstore-2026-05-31.1"] {
            try folder.write(whole, to: "Databases/\(name).db.crypt15")
        }
        let source = try WhatsAppSource(path: folder.path, label: "whatsapp:x")
        for (selection, files) in [(SourceSelection(withoutOlderDumps: true), 4), (.everything, 5)]
            as [(SourceSelection, UInt64)]
        {
            let selected = SelectedSource(source, selection)
            let report = try await Wing(MemoryStore()).backUp(selected)
            #expect(report.snapshot.totals.files == files && selected.messagesLeftOut == [])
            #expect(report.snapshot.source == "whatsapp:x")
            #expect(report.snapshot.leftOut == (files == 4 ? "older-dumps" : ""))
            let survey = try SelectionSurvey.run(source, selection)
            #expect(survey.superseded.files == 1 && survey.superseded.filesLeftOut == (files == 4 ? 1 : 0))
            #expect(survey[.messages].files == 4 && survey[.messages].filesLeftOut == (files == 4 ? 1 : 0))
        }
    }

    @Test func `has a live database read as of one moment, with its log`() async throws {
        let folder = try made("Databases/msgstore.db.crypt15")
        try folder.makeFolder("databases")
        let database = try ChatDatabase(folder("databases/msgstore.db"))
        try database.add(50)
        let wing = try await Wing(MemoryStore())
        try await wing.backUp(SelectedSource(try WhatsAppSource(path: folder.path, label: "w"), .everything))
        let target = try TemporaryFolder()
        #expect(try await wing.restore(to: target("r")).missing == [])
        #expect(try ChatState(image: target.read("r/databases/msgstore.db")) == database.state())
        #expect(!FileManager.default.fileExists(atPath: target("r/databases/msgstore.db-wal")))
    }
}
