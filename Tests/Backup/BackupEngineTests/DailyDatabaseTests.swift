import BackupFormat
import BackupSources
import Foundation
import TestSupport
import Testing

@testable import BackupEngine

@Suite struct `Forty days of a database` {
    private static let setUp = "PRAGMA page_size = 4096; PRAGMA journal_mode = DELETE"

    private func live(_ database: PagedDatabase, day: Int) throws {
        try database.add(8)
        // Every page has changed after a dozen days.
        try database.execute(
            "UPDATE messages SET body = body || '.' WHERE id % 108 IN (\(day * 9 % 108), \(day * 7 % 108))")
    }

    @Test func `are small backups, each of which comes back, and no chain grows long`() async throws {
        let database = try await PagedDatabase(seed: 60, setUp: Self.setUp)
        try database.add(1_500, words: 60)
        let whole = try await database.backUp().storedBytes
        var images = [try database.expected()]
        var first: PageLayer?
        for day in 1...40 {
            try live(database, day: day)
            let report = try await database.backUp()
            let layers = try #require(try await database.content(in: report)).layers
            if first == nil { first = layers.first }
            #expect(layers.first == first && layers.count <= PageLayer.layersMax, "day \(day)")
            #expect(report.storedBytes < whole / 4, "day \(day): \(report.storedBytes) of \(whole)")
            images.append(try database.expected())
        }
        for (day, image) in images.enumerated() {
            #expect(try await database.wing.restored(number: day).files["chat.db"] == image, "day \(day)")
        }
        let verified = try await database.wing.verify()
        #expect(verified.findings == [] && verified.notDecoded == [])
    }

    @Test func `go on when a copy is lost, damaged or old on the day of a step`() async throws {
        for fault in ["none", "last", "base", "slots", "both"] {
            let database = try await PagedDatabase(seed: 61, setUp: Self.setUp)
            try database.add(400, words: 60)
            try await database.backUp()
            for day in 1...8 {
                try live(database, day: day)
                try await database.backUp()
            }
            let folder = database.copyFolder.folderPath
            let files = try FileManager.default.contentsOfDirectory(atPath: folder)
            #expect(files.count == 3)
            for file in files {
                let isBase = file.hasSuffix("b.list")
                switch (fault, file.hasSuffix(".list")) {
                case ("last", true) where !isBase, ("base", true) where isBase, ("both", true):
                    try FileManager.default.removeItem(atPath: "\(folder)/\(file)")
                case ("slots", false):
                    let bytes = try database.copies.read("copies/\(file)")
                    try database.copies.write(noise(bytes.count, seed: 1), to: "copies/\(file)")
                default: break
                }
            }
            // A backup of an unchanged database is no step.
            let unchanged = try await database.backUp(withCopies: false)
            #expect(try await database.content(in: unchanged)?.layers.count == 9, "\(fault)")
            try live(database, day: 9)
            let report = try await database.backUp()
            let count = try await database.content(in: report)?.layers.count
            #expect(count == (["none", "last"].contains(fault) ? 2 : 10), "\(fault)")
            #expect(try await database.wing.restored().files["chat.db"] == database.expected(), "\(fault)")
            for day in 10...12 {
                try live(database, day: day)
                try await database.backUp()
            }
            #expect(try await database.wing.restored().files["chat.db"] == database.expected(), "\(fault)")
        }
    }

    @Test func `go on with no chain of which a restore could not read every layer`() async throws {
        // Two groups of pages, of which a VACUUM leaves one.
        let database = try await PagedDatabase(seed: 63, setUp: "PRAGMA page_size = 512; PRAGMA journal_mode = DELETE")
        try database.add(2_600, thumbBytes: 900)
        try await database.wing.backUp(database.source.path, copies: database.copyFolder, packBytes: 1 << 16)
        let first = Set(database.store.names)
        try database.execute("DELETE FROM messages WHERE id > 100; VACUUM")
        let content = try #require(try await database.content(in: database.backUp()))
        #expect(content.layers.map { PageGroup.count(pages: $0.pageCount) } == [2, 1])
        // What the first layer has behind the second one's end goes.
        let repository = try await database.wing.open()
        let index = try await repository.loadIndex().index
        var reader = ChunkReader(repository, index)
        let tail = try await reader.groupIDs(of: content.layers[0])[1]
        let (_, pieces) = try #require(try index.location(of: tail))
        for piece in pieces {
            let name = ObjectName.pack(index.pack(piece.pack).id)
            #expect(first.contains(name))
            try await database.store.delete(name)
        }
        for copies in [true, false] {
            try database.add(3)
            try await database.backUp(withCopies: copies)
            #expect(try await database.wing.restored().files["chat.db"] == database.expected())
        }
    }

    @Test func `give chains that the format takes, and one first layer in seventy-two images`() {
        var (layers, base, firsts) = (1, 1, 0)
        for _ in 0..<1_000 {
            switch NextLayer(layers: layers, base: base) {
            case .day: layers += 1
            case .step: (layers, base) = (base + 1, base + 1)
            case .first: (layers, base, firsts) = (1, 1, firsts + 1)
            }
            #expect(layers <= PageLayer.layersMax)
        }
        #expect(firsts == 1_000 / 72)
        for layers in 1...PageLayer.layersMax {
            #expect(NextLayer(layers: layers, base: nil) == (layers < 16 ? .day : .first))
        }
        // A chain that another device wrote: its copies end anywhere.
        for layers in 1...PageLayer.layersMax {
            for base in 1...layers where NextLayer(layers: layers, base: base) == .day {
                #expect(layers < PageLayer.layersMax)
            }
        }
    }
}

@Suite struct `Copies of databases that are no longer backed up` {
    @Test func `go with the next backup that saw everything, and others stay`() async throws {
        let database = try await PagedDatabase(seed: 62, setUp: "PRAGMA journal_mode = DELETE")
        try database.add(300)
        try database.source.write(try database.source.read("chat.db"), to: "other.db")
        try await database.backUp()
        let folder = database.copyFolder.folderPath
        func count() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: folder).count }
        #expect(try count() == 6)
        try database.copies.write([1], to: "copies/somebody-else.s")
        try await database.backUp()
        #expect(try count() == 7)
        try FileManager.default.removeItem(atPath: database.source("other.db"))
        let faulty = FaultyStore(database.store, .failure, atCall: 12)
        _ = try? await database.wing.over(faulty).backUp(database.source.path, copies: database.copyFolder)
        try await database.backUp()
        #expect(try count() == 4)
        try database.add(3, words: 10)
        #expect(try await database.content(in: database.backUp())?.layers.count == 2)
    }
}
