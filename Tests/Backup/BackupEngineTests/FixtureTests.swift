import BackupEngine
import BackupFormat
import Foundation
import ObjectStores
import Primitives
import Testing

@testable import BackupSources

/// What `scripts/make-backup-fixture` says of one name.
private struct Described: Codable, Equatable {
    var mode: UInt32
    var mtime: Int64
    var sha256: String?
    var target: String?
}

@Suite struct `A store of version 1` {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../../Specs/vectors/backup/v1").standardizedFileURL

    private func open() async throws -> Repository {
        var text = Array(try Data(contentsOf: Self.folder.appendingPathComponent("key.txt")))
        let key = try BackupKey(digits: SecretBytes(wiping: &text))
        var repository = try await Repository.open(
            FolderStore(path: Self.folder.appendingPathComponent("store").path), key: key)
        repository.temporaryFiles = TemporaryFiles(in: NSTemporaryDirectory())
        return repository
    }

    private func describe(_ folder: String) throws -> [String: Described] {
        var found: [String: Described] = [:]
        var pending: [[UInt8]] = [[]]
        while let below = pending.popLast() {
            for name in try names(in: Array("\(folder)/".utf8) + below) {
                let path = below.isEmpty ? name : below + [UInt8(ascii: "/")] + name
                let place = systemPath(Array(folder.utf8), path)
                let status = try #require(FileStatus.ofLink(place))
                var entry = Described(
                    mode: status.mode | UInt32(status.type),
                    mtime: status.modified.seconds * 1_000_000_000 + Int64(status.modified.nanoseconds))
                switch status.type {
                case S_IFLNK: entry.target = linkTarget(place).map { String(decoding: $0, as: UTF8.self) }
                case S_IFREG:
                    let file = try PlainFile(path: place)
                    let content = [UInt8](unsafeUninitializedCapacity: Int(file.contentBytes)) { buffer, count in
                        if (try? file.read(into: UnsafeMutableRawBufferPointer(buffer))) != nil { count = buffer.count }
                    }
                    entry.sha256 = sha256(content).map { String(format: "%02x", $0) }.joined()
                default: pending.append(path)
                }
                found[path.map { String(format: "%02x", $0) }.joined()] = entry
            }
        }
        return found
    }

    @Test func `opens for ever, and gives back what it was made of`() async throws {
        let repository = try await open()
        let json = try Data(contentsOf: Self.folder.appendingPathComponent("contents.json"))
        let expected = try JSONDecoder().decode([String: [String: Described]].self, from: json)
        #expect(expected.keys.sorted() == ["2", "3"])
        let index = try await repository.loadIndex().index
        for name in try await repository.snapshotNames() {
            let place = try TemporaryFolder()
            let report = try await Restore.run(
                try await repository.snapshot(name), from: repository, index,
                into: try FolderTarget(path: place("out"), intoExisting: false), report: { _ in })
            #expect(report.missing == [])
            #expect(try describe(place("out")) == expected["\(name.number)"])
        }
        let verified = try await Verify.run(
            repository, snapshot: try await repository.snapshotNames().last, deep: true, report: { _ in })
        #expect(verified.findings == [] && verified.snapshots == 2)
    }
}
