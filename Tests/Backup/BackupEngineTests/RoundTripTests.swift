import BackupEngine
import BackupFormat
import BackupSources
import Foundation
import ObjectStores
import Testing

@Suite struct `A folder goes into a store and comes back` {
    @Test func `files of every size come back byte for byte, with their times and modes`() async throws {
        let (source, place) = (try TemporaryFolder(), try TemporaryFolder())
        let sizes = [0, 1, 4_095, 1 << 20, (8 << 20) - 1, 8 << 20, (8 << 20) + 1, 20 << 20]
        for (number, size) in sizes.enumerated() {
            try source.write(noise(size, seed: UInt64(number)), to: "noise-\(size)")
            try source.write([UInt8](repeating: UInt8(number + 1), count: size), to: "plain-\(size)")
            try source.write([UInt8](repeating: 0, count: size), to: "zeros-\(size)")
            try source.setModified("noise-\(size)", seconds: 1_000_000_000 + number, nanoseconds: 123_456_789)
        }
        try source.setModified("plain-1", seconds: -1, nanoseconds: 999_999_999)
        for mode: mode_t in [0o444, 0o400, 0o777, 0o000, 0o4755, 0o2755, 0o1644]
        where geteuid() == 0 || mode & 0o400 > 0 {
            try source.write([1, 2, 3], to: "mode-\(String(mode, radix: 8))", mode: mode)
        }
        try await expectRoundTrip(of: source, through: place)
    }

    @Test func `holes come back as holes`() async throws {
        let (source, place, target) = (try TemporaryFolder(), try TemporaryFolder(), try TemporaryFolder())
        let file = Foundation.open(source("sparse"), O_RDWR | O_CREAT, 0o644)
        try require(pwrite(file, [7], 1, 40 << 20) == 1, "pwrite")
        try require(ftruncate(file, 60 << 20) == 0, "ftruncate")
        close(file)
        let wing = try await Wing(FolderStore(path: place("store")))
        let stored = try await wing.backUp(source.path).storedBytes
        #expect(stored < 100_000)
        _ = try await wing.restore(to: target("back"))
        #expect(try FolderDescription(target("back")).differences(from: FolderDescription(source.path)) == [])
        var status = stat()
        try require(stat(target("back/sparse"), &status) == 0, "stat")
        #expect(Int(status.st_blocks) * 512 < 6 << 20)
    }

    @Test func `equal files are stored once, and hard links stay links`() async throws {
        let (source, place) = (try TemporaryFolder(), try TemporaryFolder())
        let photo = noise(3 << 20, seed: 5)
        try source.makeFolder("chats/a")
        try source.makeFolder("chats/b")
        try source.write(photo, to: "chats/a/photo")
        try source.write(photo, to: "chats/b/forwarded")
        try require(link(source("chats/a/photo"), source("chats/b/linked")) == 0, "link")
        try require(link(source("chats/a/photo"), source("again")) == 0, "link")
        let report = try await expectRoundTrip(of: source, through: place)
        #expect(report.storedBytes < 4 << 20)
    }

    @Test func `symbolic links come back as they are, wherever they point`() async throws {
        let (source, place) = (try TemporaryFolder(), try TemporaryFolder())
        try source.makeFolder("folder")
        for (name, target) in [
            ("dangling", "/no/such/place"), ("loop", "loop"), ("up", "../../.."), ("to-folder", "folder"),
            ("long", String(repeating: "x/", count: 2_000)),
        ] {
            try require(symlink(target, source(name)) == 0, "symlink")
        }
        try source.setModified("dangling", seconds: 77, nanoseconds: 5)
        try await expectRoundTrip(of: source, through: place)
    }

    @Test func `names of any bytes come back`() async throws {
        let (source, place) = (try TemporaryFolder(), try TemporaryFolder())
        let odd: [[UInt8]] = [
            Array("new\nline".utf8), [0xff, 0xfe, 0x80], Array("-rf".utf8), Array("...".utf8), Array(" ".utf8),
            [UInt8](repeating: 0x61, count: 255), Array("é".utf8), Array("e\u{301}".utf8), [0x01, 0x7f],
            Array("back\\slash".utf8), Array("%2e%2e".utf8), Array("coffer.json".utf8),
        ]
        for name in odd { try source.write(name, to: name) }
        try require(mkdir(source.bytes([0xc3, 0x28]), 0o755) == 0, "mkdir")
        try source.write([1], to: [0xc3, 0x28, 0x2f, 0xff])
        try await expectRoundTrip(of: source, through: place)
    }

    @Test func `extended attributes come back`() async throws {
        let (source, place) = (try TemporaryFolder(), try TemporaryFolder())
        try source.write([1], to: "file")
        try source.makeFolder("folder")
        for name in ["file", "folder", "."] {
            let file = Foundation.open(source(name), O_RDONLY)
            defer { close(file) }
            try require(
                setAttributes(
                    [("user.coffer", [0, 255, 1]), ("user.empty", []), ("user.z", noise(900, seed: 1))], on: file),
                "fsetxattr")
        }
        #expect(try FolderDescription(source.path).lines["./file"]?.contains("user.coffer=[0, 255, 1]") == true)
        try await expectRoundTrip(of: source, through: place)
    }

    @Test func `empty folders, deep folders and a folder of thousands come back`() async throws {
        let (source, place) = (try TemporaryFolder(), try TemporaryFolder())
        try source.makeFolder("empty/empty")
        try source.makeFolder((0..<300).map { "d\($0)" }.joined(separator: "/"))
        try source.makeFolder("many")
        for number in 0..<5_000 {
            try source.write(Array("\(number)".utf8), to: "many/a rather long name that fills listings \(number)")
        }
        try source.makeFolder("locked", mode: 0o555)
        try source.setModified("empty", seconds: 1_234, nanoseconds: 5)
        let report = try await expectRoundTrip(of: source, through: place)
        #expect(report.snapshot.totals.files == 5_000)
        #expect(report.snapshot.totals.directories == 304)
    }

    @Test func `sockets and pipes are left out and named`() async throws {
        let (source, place, target) = (try TemporaryFolder(), try TemporaryFolder(), try TemporaryFolder())
        try source.write([1], to: "file")
        try require(mkfifo(source("pipe"), 0o600) == 0, "mkfifo")
        try require(mknod(source("socket"), S_IFSOCK | 0o600, 0) == 0, "mknod")
        let wing = try await Wing(FolderStore(path: place("store")))
        let report = try await wing.backUp(source.path)
        #expect(
            report.snapshot.skipped == [
                Skipped(path: Array("pipe".utf8), reason: .notAFile),
                Skipped(path: Array("socket".utf8), reason: .notAFile),
            ])
        #expect(report.snapshot.totals.skipped == 2)
        _ = try await wing.restore(to: target("back"))
        #expect(try target.read("back/file") == [1])
        #expect(try names(in: Array(target("back").utf8)).count == 1)
    }

    @Test func `one file or one folder comes back alone, at its own path`() async throws {
        let (source, place, target) = (try TemporaryFolder(), try TemporaryFolder(), try TemporaryFolder())
        try source.makeFolder("media/photos")
        for name in ["media/photos/a", "media/photos/b", "media/c", "d"] {
            try source.write(Array(name.utf8), to: name)
        }
        let wing = try await Wing(FolderStore(path: place("store")))
        try await wing.backUp(source.path)
        #expect(try await wing.restore(to: target("one"), only: "media/photos/b").files == 1)
        #expect(try target.read("one/media/photos/b") == Array("media/photos/b".utf8))
        #expect(try names(in: Array(target("one/media").utf8)).count == 1)
        #expect(try await wing.restore(to: target("folder"), only: "./media/photos/").files == 2)
        #expect(try names(in: Array(target("folder/media/photos").utf8)).count == 2)
        for missing in ["media/photos/x", "x", "d/x", "media/photos/b/x"] {
            await #expect(throws: RestoreError.noSuchPath(Array(missing.utf8))) {
                _ = try await wing.restore(to: target("none"), only: missing)
            }
        }
        #expect(try names(in: Array(target("none").utf8)) == [], "no folder above it was made")
    }

    @Test func `a second backup stores little, and both snapshots come back`() async throws {
        let (source, place, target) = (try TemporaryFolder(), try TemporaryFolder(), try TemporaryFolder())
        try source.makeFolder("media")
        for number in 0..<20 { try source.write(noise(500_000, seed: UInt64(number)), to: "media/\(number)") }
        let first = try FolderDescription(source.path)
        let wing = try await Wing(FolderStore(path: place("store")))
        #expect(try await wing.backUp(source.path).storedBytes > 10_000_000)
        #expect(try await wing.backUp(source.path).storedBytes < 10_000)
        try source.write(noise(1_000, seed: 99), to: "media/new")
        #expect(try await wing.backUp(source.path).storedBytes < 20_000)
        for number in 0...2 {
            let report = try await wing.restore(to: target("\(number)"), number: number)
            #expect(report.missing == [])
        }
        #expect(try FolderDescription(target("0")).differences(from: first) == [])
        #expect(try FolderDescription(target("1")).differences(from: first) == [])
        #expect(try FolderDescription(target("2")).differences(from: FolderDescription(source.path)) == [])
        #expect(try await wing.verify().findings == [])
        #expect(try await wing.verify(deep: false).findings == [])
    }
}

@Suite struct `Restoring over something` {
    @Test func `a folder that is not empty is refused and left as it is`() async throws {
        let target = try TemporaryFolder()
        try target.write([1], to: ".hidden")
        let before = try FolderDescription(target.path)
        #expect(throws: FolderTargetError.notEmpty) {
            _ = try FolderTarget(path: target.path, intoExisting: false)
        }
        #expect(try FolderDescription(target.path) == before)
    }

    @Test func `what is there is kept and named, the rest is added`() async throws {
        let (source, place, target) = (try TemporaryFolder(), try TemporaryFolder(), try TemporaryFolder())
        for name in ["both", "new", "folder-here", "link"] { try source.write(Array(name.utf8), to: name) }
        try source.makeFolder("shared")
        try source.makeFolder("file-here")
        try source.write([1], to: "file-here/inside")
        try source.write([2], to: "shared/new")
        try target.write(Array("mine".utf8), to: "both")
        try target.makeFolder("folder-here")
        try target.makeFolder("shared", mode: 0o711)
        try target.write([9], to: "file-here")
        try target.makeFolder("elsewhere")
        try require(symlink("elsewhere", target("link")) == 0, "symlink")
        let wing = try await Wing(FolderStore(path: place("store")))
        try await wing.backUp(source.path)
        let report = try await wing.restore(to: target.path, intoExisting: true)
        #expect(
            report.missing.map { String(decoding: $0.path, as: UTF8.self) } == [
                "both", "file-here", "folder-here", "link",
            ])
        #expect(report.missing.allSatisfy { $0.reason == .exists })
        #expect(try target.read("both") == Array("mine".utf8))
        #expect(try target.read("new") == Array("new".utf8))
        #expect(try target.read("shared/new") == [2])
        #expect(try target.read("file-here") == [9])
        #expect(try names(in: Array(target("elsewhere").utf8)) == [])
        #expect(try FolderDescription(target.path).lines["./shared"]?.hasPrefix("40711 ") == true)
        #expect(try FolderDescription(target.path).lines.keys.allSatisfy { !$0.contains("restoring") })
    }
}

@discardableResult
private func expectRoundTrip(
    of source: TemporaryFolder, through place: TemporaryFolder, location: SourceLocation = #_sourceLocation
) async throws -> BackupReport {
    let before = try FolderDescription(source.path)
    let wing = try await Wing(FolderStore(path: place("store")))
    let report = try await wing.backUp(source.path)
    #expect(report.snapshot.skipped == [], sourceLocation: location)
    let restored = try await wing.restore(to: place("back"))
    #expect(restored.missing == [], sourceLocation: location)
    #expect(
        try FolderDescription(place("back")).differences(from: FolderDescription(source.path)) == [],
        sourceLocation: location)
    #expect(try FolderDescription(source.path) == before, "a backup changes nothing", sourceLocation: location)
    #expect(try await wing.verify().findings == [], sourceLocation: location)
    return report
}
