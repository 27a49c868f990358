import BackupEngine
import BackupFormat
import Foundation
import GRDB
import TestSupport
import Testing

@testable import BackupSources

private let jpeg: [UInt8] = [0xff, 0xd8, 0xff, 0xe0, 1, 2, 3]

private func chats() throws -> TemporaryFolder {
    let source = try TemporaryFolder()
    let files: [(String, [UInt8])] = [
        ("Media/Images/IMG-1.jpg", jpeg), ("Media/Images/Sent/IMG-2.jpg", jpeg), ("Media/unnamed", jpeg),
        ("Media/Video/VID-1.mp4", [1, 2]), ("Media/Voice/PTT-1.opus", [3]), ("Cache/a.tmp", [4]),
        ("Cache/deep/b.bin", [5]), ("notes.txt", [6]), ("x.tmp", [7]), ("strange", [8]),
    ]
    for (name, content) in files {
        try source.makeFolder(String(name.split(separator: "/").dropLast().joined(separator: "/")))
        try source.write(content, to: name)
    }
    try require(symlink("Media", source("link.tmp")) == 0, "symlink")
    let queue = try DatabaseQueue(path: source("msgstore.db"))
    try queue.write { try $0.execute(sql: "CREATE TABLE t (a)") }
    try queue.close()
    return source
}

private func selection(_ categories: Set<BackupEngine.Category> = [], _ patterns: [String] = []) throws
    -> SourceSelection
{
    SourceSelection(withoutCategories: categories, withoutPatterns: try patterns.map { try Glob($0) })
}

private func saved(_ source: TemporaryFolder, _ selection: SourceSelection) async throws -> (Snapshot, Set<String>) {
    let wing = try await Wing(MemoryStore())
    let report = try await wing.backUp(SelectedSource(try FolderSource(path: source.path), selection))
    let target = try TemporaryFolder()
    #expect(try await wing.restore(to: target("r")).missing == [])
    #expect(try await wing.verify().findings == [])
    let lines = try FolderDescription(target("r")).lines.keys
    return (report.snapshot, Set(lines.map { String($0.dropFirst(2)) }.filter { !$0.isEmpty }))
}

@Suite struct `What is not to be saved` {
    private let all: Set<String> = [
        "Media", "Media/Images", "Media/Images/IMG-1.jpg", "Media/Images/Sent", "Media/Images/Sent/IMG-2.jpg",
        "Media/unnamed", "Media/Video", "Media/Video/VID-1.mp4", "Media/Voice", "Media/Voice/PTT-1.opus", "Cache",
        "Cache/a.tmp", "Cache/deep", "Cache/deep/b.bin", "notes.txt", "x.tmp", "strange", "link.tmp", "msgstore.db",
    ]

    @Test func `is nothing unless a person says so`() async throws {
        let (snapshot, names) = try await saved(try chats(), .everything)
        #expect(names == all && snapshot.leftOut == "")
    }

    @Test func `may be a category, by names or by what is in a file`() async throws {
        let (snapshot, names) = try await saved(try chats(), try selection([.photos, .voice]))
        #expect(
            names
                == all.subtracting([
                    "Media/Images/IMG-1.jpg", "Media/Images/Sent/IMG-2.jpg", "Media/unnamed", "Media/Voice/PTT-1.opus",
                ]))
        #expect(snapshot.leftOut == "photos\nvoice" && snapshot.totals.files == 7)
        let (_, others) = try await saved(try chats(), try selection([.other, .messages]))
        #expect(all.subtracting(others) == ["Cache/a.tmp", "Cache/deep/b.bin", "x.tmp", "strange", "msgstore.db"])
    }

    @Test func `may be patterns, for files, links and folders with all that is in them`() async throws {
        let (snapshot, names) = try await saved(try chats(), try selection([], ["*.tmp", "Cache/deep/", "/Media/V*"]))
        #expect(snapshot.leftOut == "*.tmp\nCache/deep/\n/Media/V*")
        #expect(
            all.subtracting(names) == [
                "Cache/a.tmp", "x.tmp", "link.tmp", "Cache/deep", "Cache/deep/b.bin", "Media/Video",
                "Media/Video/VID-1.mp4", "Media/Voice", "Media/Voice/PTT-1.opus",
            ])
        let (_, inside) = try await saved(try chats(), try selection([], ["Cache/**"]))
        #expect(all.subtracting(inside) == ["Cache/a.tmp", "Cache/deep", "Cache/deep/b.bin"])
    }

    @Test func `is noticed where it is messages`() async throws {
        let folder = try chats()
        let other = SelectedSource(try FolderSource(path: folder.path), try selection([], ["*.db", "*.txt"]))
        try await Wing(MemoryStore()).backUp(other)
        #expect(other.messagesLeftOut == [Array("msgstore.db".utf8)])
    }

    @Test func `is counted for each category before anyone decides`() throws {
        let folder = try chats()
        let survey = try SelectionSurvey.run(
            try FolderSource(path: folder.path), try selection([.voice], ["/Media/Images", "*.db"]))
        func counts(_ category: BackupEngine.Category) -> [UInt64] {
            let amount = survey[category]
            return [UInt64(amount.files), amount.bytes, UInt64(amount.filesLeftOut), amount.bytesLeftOut]
        }
        #expect(counts(.photos) == [3, 21, 2, 14] && counts(.voice) == [1, 1, 1, 1])
        #expect(counts(.other) == [4, 4, 0, 0] && counts(.stickers) == [0, 0, 0, 0])
        #expect(survey[.messages].files == 1 && survey[.messages].filesLeftOut == 1)
    }

    @Test func `comes back with the next backup when it is wanted again`() async throws {
        let folder = try chats()
        let wing = try await Wing(MemoryStore())
        let source = try FolderSource(path: folder.path)
        for (selection, count) in [(try selection([.photos]), 8), (.everything, 11), (try selection([.photos]), 8)] {
            let known = KnownFilesFile(path: folder("../known-\(UUID().uuidString)"))
            let report = try await Backup.run(
                SelectedSource(source, selection), into: try await wing.open(),
                generator: SystemRandomNumberGenerator(), now: { Wing.now }, knownFiles: known, report: { _ in })
            #expect(report.snapshot.totals.files == count)
        }
        #expect(try await wing.verify().findings == [])
    }
}

@Suite struct `A restore by category` {
    @Test func `brings back what is of it, by names or by what is in a file`() async throws {
        let folder = try chats()
        let wing = try await Wing(MemoryStore())
        try await wing.backUp(folder.path)
        let repository = try await wing.open()
        let snapshot = try await repository.snapshot(try #require(try await repository.snapshotNames().last))
        let index = try await repository.loadIndex().index
        func restored(_ categories: Set<BackupEngine.Category>, _ paths: [String] = []) async throws -> Set<String> {
            let choice = try await repository.choice(
                of: categories, paths: paths.map { Array($0.utf8) }, in: snapshot, index)
            let target = MemoryTarget()
            let report = try await Restore.run(
                snapshot, from: repository, index, choosing: choice, into: target, report: { _ in })
            #expect(report.missing == [])
            return Set(target.files.keys)
        }
        let photos: Set = ["Media/Images/IMG-1.jpg", "Media/Images/Sent/IMG-2.jpg", "Media/unnamed"]
        #expect(try await restored([.photos]) == photos)
        #expect(try await restored([.messages]) == ["msgstore.db"])
        #expect(
            try await restored([.photos, .voice], ["Media/Images", "notes.txt"])
                == photos.subtracting(["Media/unnamed"]))
        #expect(try await restored([.stickers]) == [])
        #expect(try await restored(Set(BackupEngine.Category.allCases)).count == 11)
    }
}
