import BackupEngine
import BackupFormat
import BackupSources
import Foundation
import ObjectStores
import Synchronization
import Testing

/// A folder that counts which files are opened, and how much is read of those that are no databases.
private struct CountingSource: BackupSource {
    let folder: FolderSource
    let opened = Opened()

    final class Opened: Sendable {
        let names = Mutex<[String]>([])
        let bytes = Mutex(0)
    }

    private struct CountingFile: SourceFile {
        let file: any SourceFile
        let opened: Opened

        var form: FileForm { file.form }
        var contentBytes: UInt64 { file.contentBytes }
        func read(into buffer: UnsafeMutableRawBufferPointer) throws(SourceError) {
            opened.bytes.withLock { $0 += buffer.count }
            try file.read(into: buffer)
        }
        func skipHole(_ count: Int) -> Bool { file.skipHole(count) }
        func skip(_ count: Int) -> Bool { file.skip(count) }
        func finish() throws(SourceError) { try file.finish() }
    }

    init(_ path: String) throws { folder = try FolderSource(path: path) }

    var label: String { folder.label }
    func root() throws(SourceError) -> SourceNode { try folder.root() }
    func children(of directory: SourceNode) throws(SourceError) -> AnySequence<SourceNode> {
        try folder.children(of: directory)
    }
    func open(_ file: SourceNode, attempt: Int) throws(SourceError) -> any SourceFile {
        opened.names.withLock { $0.append(String(decoding: file.path, as: UTF8.self)) }
        let open = try folder.open(file, attempt: attempt)
        return open is any DatabaseFile ? open : CountingFile(file: open, opened: opened)
    }
    func version(of file: SourceNode, form: FileForm) -> FileVersion? { folder.version(of: file, form: form) }
    func attributes(of node: SourceNode) -> [ExtendedAttribute] { folder.attributes(of: node) }
}

/// A folder, a store and what the device remembers.
private struct Device {
    let source: TemporaryFolder
    let place: TemporaryFolder
    let wing: Wing

    init() async throws {
        (source, place) = (try TemporaryFolder(), try TemporaryFolder())
        wing = try await Wing(FolderStore(path: place("store")))
    }

    var known: KnownFilesFile { KnownFilesFile(path: place("known-files")) }

    /// The names of the files that a backup read.
    @discardableResult
    func backUp(now: UInt64 = Wing.now) async throws -> [String] {
        let counting = try CountingSource(source.path)
        _ = try await Backup.run(
            counting, into: try await wing.open(), generator: SystemRandomNumberGenerator(), now: { now },
            knownFiles: known, report: { _ in })
        return counting.opened.names.withLock { $0 }
    }

    /// A backup that is cut when the store fails for the first time; how much it read.
    func backUp(failingAtCall call: Int, packBytes: Int) async throws -> (bytes: Int, isCut: Bool) {
        let counting = try CountingSource(source.path)
        let repository = try await wing.over(FaultyStore(wing.store, .failure, atCall: call)).open()
        let report = try? await Backup.run(
            counting, into: repository, generator: SystemRandomNumberGenerator(), now: { Wing.now },
            knownFiles: known, packBytes: packBytes, report: { _ in })
        return (counting.opened.bytes.withLock { $0 }, report == nil)
    }

    /// Whether the newest snapshot holds what the folder holds.
    func isWhole() async throws -> Bool {
        let back = place("back-\(UUID().uuidString)")
        guard try await wing.restore(to: back).missing.isEmpty else { return false }
        return try FolderDescription(back).differences(from: FolderDescription(source.path)) == []
    }
}

@Suite struct `Files that are known` {
    @Test func `are not read again, and those that changed are`() async throws {
        let device = try await Device()
        try device.source.makeFolder("a")
        // Names around the slash, so that the walk's order is not that of whole paths.
        for name in ["a/x", "a-b", "a.txt", "a0", "b"] { try device.source.write(Array(name.utf8), to: name) }
        #expect(try await device.backUp().sorted() == ["a-b", "a.txt", "a/x", "a0", "b"])
        #expect(try await device.backUp() == [])
        try device.source.write(Array("other".utf8), to: "a/x")
        try device.source.write([7], to: "a/new")
        #expect(try await device.backUp().sorted() == ["a/new", "a/x"])
        try require(unlink(device.source("a-b")) == 0, "unlink")
        #expect(try await device.backUp() == [])
        #expect(try await device.isWhole())
    }

    @Test func `are read again when size and time were put back after a change`() async throws {
        let device = try await Device()
        for name in ["kept", "written", "replaced"] {
            try device.source.write([1, 2, 3], to: name)
            try device.source.setModified(name, seconds: 1_000_000_000, nanoseconds: 5)
        }
        try await device.backUp()
        try device.source.write([4, 5, 6], to: "written")
        try device.source.write([7, 8, 9], to: "elsewhere")
        try require(rename(device.source("elsewhere"), device.source("replaced")) == 0, "rename")
        for name in ["written", "replaced"] {
            try device.source.setModified(name, seconds: 1_000_000_000, nanoseconds: 5)
        }
        #expect(try await device.backUp().sorted() == ["replaced", "written"])
        #expect(try await device.isWhole())
    }

    @Test func `do not count when they changed just before the backup`() async throws {
        let device = try await Device()
        try device.source.write([1], to: "young")
        let now = UInt64(Date().timeIntervalSince1970)
        try await device.backUp(now: now)
        #expect(try await device.backUp(now: now) == ["young"])
        #expect(try await device.backUp(now: now + 60) == ["young"])
        #expect(try await device.backUp(now: now + 120) == [])
    }

    @Test func `of large size are known by all their blocks`() async throws {
        let device = try await Device()
        let file = Foundation.open(device.source("sparse"), O_RDWR | O_CREAT, 0o644)
        try require(ftruncate(file, 140 * (4 << 20)) == 0, "ftruncate")
        try require(pwrite(file, [7], 1, 8 << 20) == 1, "pwrite")
        close(file)
        try await device.backUp()
        #expect(try await device.backUp() == [])
        for name in try await device.wing.store.list(.packs) { try await device.wing.store.delete(name) }
        #expect(try await device.backUp() == ["sparse"])
        #expect(
            try await device.wing.verify().findings.allSatisfy { if case .entryDamaged = $0 { false } else { true } })
    }

    @Test func `go on behind the last pack of a backup that was cut`() async throws {
        let (fileBytes, count, packBytes) = (64 << 10, 40, 256 << 10)
        for call in stride(from: 10, to: 20, by: 3) {
            let device = try await Device()
            for number in 0..<count {
                try device.source.write(noise(fileBytes, seed: UInt64(number)), to: "file \(number)")
            }
            let (_, isCut) = try await device.backUp(failingAtCall: call, packBytes: packBytes)
            let packs = try await device.wing.store.list(.packs).count
            try #require(isCut && packs > 0, "call \(call)")
            let (bytes, isCutAgain) = try await device.backUp(failingAtCall: .max, packBytes: packBytes)
            // A pack holds somewhat less than its size. Two that went on beside the one that failed came into the store, so
            // files at both its ends are read again, and the last file, which was not known yet.
            let stored = packs * (packBytes - 1_024) / fileBytes
            #expect(!isCutAgain && bytes <= (max(0, count - stored) + 5) * fileBytes, "call \(call), \(packs) packs")
            #expect(try await device.backUp() == [])
            #expect(try await device.isWhole())
        }
    }

    @Test func `of large size go on at the block where a backup was cut, and at the next one if it is cut again`()
        async throws
    {
        let device = try await Device()
        let (blockBytes, blocks) = (FileContent.largeFileBlockBytes, 11)
        try device.source.write(noise(blocks * blockBytes - 5, seed: 1), to: "film")
        let first = try await device.backUp(failingAtCall: 14, packBytes: blockBytes)
        let second = try await device.backUp(failingAtCall: 32, packBytes: blockBytes)
        let third = try await device.backUp(failingAtCall: .max, packBytes: blockBytes)
        #expect(first.isCut && second.isCut && !third.isCut)
        let packs = try await device.wing.store.list(.packs).count
        // Each run remembers a large file every 16 MiB.
        #expect(third.bytes < first.bytes + second.bytes)
        #expect(third.bytes <= (blocks - 4) * blockBytes, "\(first) \(second) \(third) \(packs)")
        #expect(try await device.isWhole())
        // The file is another one with the same name: nothing of the old one counts.
        let changed = try await Device()
        try changed.source.write(noise(blocks * blockBytes, seed: 1), to: "film")
        _ = try await changed.backUp(failingAtCall: 14, packBytes: blockBytes)
        try changed.source.write(noise(blocks * blockBytes, seed: 2), to: "film")
        #expect(try await changed.backUp(failingAtCall: .max, packBytes: blockBytes).bytes == blocks * blockBytes)
        #expect(try await changed.isWhole())
    }

    @Test func `databases are read again when only their log changed`() async throws {
        let device = try await Device()
        let database = try ChatDatabase(device.source("chat.db"))
        try database.add(3)
        try await device.backUp()
        #expect(try await device.backUp() == [])
        try database.add(1)
        #expect(try await device.backUp() == ["chat.db"])
        try database.close()
    }

    @Test func `are forgotten when the memory of them is damaged, cut, or another store's`() async throws {
        let device = try await Device()
        for number in 0..<2_000 { try device.source.write([UInt8(number % 251), 1], to: "file \(number)") }
        try await device.backUp()
        let path = device.place("known-files")
        let whole = try Data(contentsOf: URL(fileURLWithPath: path))
        #expect(whole.count > 200_000, "more than one part")
        for offset in [0, 3, 12, 24, 100_000, whole.count - 1] {
            var damaged = whole
            damaged[offset] ^= 0x20
            try damaged.write(to: URL(fileURLWithPath: path))
            let read = try await device.backUp().count
            #expect(read > 0 && read <= 2_000, "\(offset)")
        }
        for count in [0, 22, 100_000, whole.count - 5] {
            try whole.prefix(count).write(to: URL(fileURLWithPath: path))
            #expect(try await device.backUp().count > 0, "\(count)")
        }
        #expect(try await device.backUp() == [])
        #expect(try await device.isWhole())
        let other = try await Device()
        for number in 0..<10 { try other.source.write([UInt8(number)], to: "file \(number)") }
        try whole.write(to: URL(fileURLWithPath: other.place("known-files")))
        #expect(try await other.backUp().count == 10)
    }
}
