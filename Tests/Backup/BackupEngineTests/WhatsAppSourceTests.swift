import BackupEngine
import BackupFormat
import Foundation
import TestSupport
import Testing

@testable import BackupSources

/// 2026-06-01, 00:00 UTC.
private let june: Int64 = 1_780_272_000

private func superseded(_ names: [(String, UInt64, Int64)]) -> Set<String> {
    let files = names.map { LocalDumps.File(name: Array($0.0.utf8), bytes: $0.1, modifiedSeconds: $0.2) }
    return Set(LocalDumps(files).superseded.map { String(decoding: $0, as: UTF8.self) })
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
                "notes.txt") == [
                    "msgstore-2026-05-30.1.db.crypt15", "msgstore-2026-05-31.1.db.crypt15",
                    "msgstore-increment-1-2026-05-31.1.db.crypt15",
                ])
    }

    @Test func `are replaced by the newest day where the newest itself is missing, with its increments kept`() {
        #expect(
            superseded(
                "msgstore-2025-12-31.1.db.crypt15", "msgstore-2026-05-31.1.db.crypt15",
                "msgstore-2026-05-31.2.db.crypt15", "msgstore-increment-1-2025-12-31.1.db.crypt15",
                "msgstore-increment-2-2026-05-31.2.db.crypt15") == [
                    "msgstore-2025-12-31.1.db.crypt15", "msgstore-2026-05-31.1.db.crypt15",
                    "msgstore-increment-1-2025-12-31.1.db.crypt15",
                ])
        #expect(superseded("msgstore-2026-05-31.1.db.crypt15") == [])
        #expect(superseded("msgstore-increment-1-2026-05-31.1.db.crypt15", "msgstore-increment-2.db.crypt15") == [])
    }

    @Test func `are not replaced by what is empty, of another kind, or older than they are`() {
        let old = ("msgstore-2026-05-31.1.db.crypt15", UInt64(1_000), june)
        #expect(superseded([("msgstore.db.crypt15", 0, june), old]) == [])
        #expect(superseded([("msgstore.db.crypt14", 1_000, june), old]) == [])
        #expect(superseded([("msgstore.db.crypt15", 1_000, june - 40 * 86_400), old]) == [])
        // A day more or less is the time zone.
        #expect(superseded([("msgstore.db.crypt15", 1_000, june - 2 * 86_400 + 1), old]).count == 1)
        #expect(superseded([("msgstore.db.crypt15", 1_000, june), old]).count == 1)
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

    @Test func `is saved without older dumps, without a warning, and with them on request`() async throws {
        let folder = try made(
            "Databases/msgstore.db.crypt15", "Databases/msgstore-2026-05-31.1.db.crypt15", "Databases/other.txt",
            "Media/msgstore-2026-05-31.1.db.crypt15")
        let source = try WhatsAppSource(path: folder.path, label: "whatsapp:x")
        for (selection, files) in [(SourceSelection(withoutOlderDumps: true), 3), (.everything, 4)]
            as [(SourceSelection, UInt64)]
        {
            let selected = SelectedSource(source, selection)
            let report = try await Wing(MemoryStore()).backUp(selected)
            #expect(report.snapshot.totals.files == files && selected.messagesLeftOut == [])
            #expect(report.snapshot.source == "whatsapp:x")
            #expect(report.snapshot.leftOut == (files == 3 ? "older-dumps" : ""))
            let survey = try SelectionSurvey.run(source, selection)
            #expect(survey.superseded.files == 1 && survey.superseded.filesLeftOut == (files == 3 ? 1 : 0))
            #expect(survey[.messages].files == 3 && survey[.messages].filesLeftOut == (files == 3 ? 1 : 0))
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
