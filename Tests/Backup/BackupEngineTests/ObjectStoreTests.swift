import BackupEngine
import BackupFormat
import ByteCoding
import Foundation
import ObjectStores
import TestSupport
import Testing

/// A kind of store that the contract is tried on. A folder is kept alive for as long as the store is used.
enum StoreKind: String, CaseIterable, CustomTestStringConvertible {
    case folder
    case memory
    case limited
    case s3
    case provenS3 = "S3 that refuses to replace"
    case faultyS3 = "S3 on a bad line"
    case webDAV = "WebDAV (wsgidav)"
    case faultyWebDAV = "WebDAV (Apache, where it is installed) on a bad line"
    case rclone
    case rcloneBucket = "a bucket behind rclone"
    case faultyRclone = "rclone on a bad line"
    case gdrive
    case faultyGDrive = "Google Drive on a bad line"
    case icloud = "iCloud"
    case faultyICloud = "iCloud on a bad line"

    var testDescription: String { rawValue }

    /// Whether it is known to promise less (`Docs/Stores.md`): servers of WebDAV look whether a name is free, and then rename; and
    /// moto looks and then writes, in a thread for each request, which shows where the machine is busy. An upload through rclone or
    /// by WebDAV that is stopped may come about under the name that it has before it is moved, after that was deleted: on a busy machine.
    func isWeaker(_ finding: StoreConformance.Finding) -> Bool {
        guard case .weaker = finding.outcome else { return false }
        return switch finding.group.number {
        case 5: [.webDAV, .faultyWebDAV, .s3, .provenS3, .faultyS3].contains(self)
        case 7: [.rclone, .faultyRclone, .webDAV, .faultyWebDAV].contains(self)
        default: false
        }
    }

    func make() throws -> (store: any ObjectStore, folder: TemporaryFolder) {
        let folder = try TemporaryFolder()
        switch self {
        case .folder: return (FolderStore(path: folder("store")), folder)
        case .memory: return (MemoryStore(), folder)
        case .limited:
            let clock = StandingClock().waiting
            let store = LimitedStore(
                FolderStore(path: folder("store")), uploadBytesPerSecond: 1_000, downloadBytesPerSecond: 2_000,
                clock: clock)
            return (store, folder)
        case .s3: return (try S3Server.store(), folder)
        case .provenS3:
            return (try S3Server.store(capabilities: StoreCapabilities(refusesToReplace: true)), folder)
        case .gdrive: return (try DriveServer.store(), folder)
        case .faultyGDrive:
            return (try DriveServer.store { FaultyTransport($0, seed: 1, busy: DriveServer.busy) }, folder)
        case .icloud: return (try ICloudServer.shared.get().store(), folder)
        case .faultyICloud:
            return (
                try ICloudServer.shared.get().store { FaultyTransport($0, seed: 1, busy: ICloudServer.busy) }, folder
            )
        case .faultyS3: return (try S3Server.store { FaultyTransport($0, seed: 1) }, folder)
        case .webDAV: return (try WebDAVServer.wsgidav.store(), folder)
        case .faultyWebDAV:
            let store = try WebDAVServer.apacheOrOther.store {
                FaultyTransport($0, seed: 1, busy: StoreAnswer(status: 423))
            }
            return (store, folder)
        case .rclone: return (try RcloneServer.common.get().store("disk:\(folder("store"))"), folder)
        case .rcloneBucket:
            return (try RcloneServer.common.get().store("bucket:coffer/\(UUID().uuidString.lowercased())"), folder)
        case .faultyRclone:
            let transport = FaultyTransport(RcloneClient.transport, seed: 1, busy: StoreAnswer(status: 504))
            return (try RcloneServer.common.get().store("disk:\(folder("store"))", transport: transport), folder)
        }
    }
}

/// The contract of `ObjectStore`, for every store.
@Suite struct `Every store` {
    static let extent = StoreConformance.Extent(
        sizes: [0, 1, 100, 4_096, 1 << 20, 3_000_001], listedObjects: 40, races: 5)

    static func id(_ byte: UInt8) -> ObjectID { ObjectID(uncheckedBytes: [UInt8](repeating: byte, count: 16)) }

    @Test(arguments: StoreKind.allCases, StoreConformance.Group.live)
    func `keeps the contract`(_ kind: StoreKind, _ group: StoreConformance.Group) async throws {
        let (store, _folder) = try kind.make()
        defer { withExtendedLifetime(_folder) {} }
        let findings = try await StoreConformance(store, extent: Self.extent).run([group])
        for finding in findings where !kind.isWeaker(finding) {
            #expect(finding.outcome == .passed)
        }
        #expect(findings.count == 1)
        for folder in ObjectName.Folder.allCases { #expect(try await store.list(folder) == []) }
        await #expect(throws: ObjectStoreError.notFound("coffer.json")) { _ = try await store.read(.header) }
    }

    @Test func `is the same to two clients`() async throws {
        let folder = try TemporaryFolder()
        let prefix = UUID().uuidString.lowercased()
        let rclone = try RcloneServer()
        defer { withExtendedLifetime(rclone) {} }
        let pairs: [(any ObjectStore, any ObjectStore)] = [
            (FolderStore(path: folder("a")), FolderStore(path: folder("a"))),
            (try S3Server.store(prefix), try S3Server.store(prefix)),
            (try WebDAVServer.apacheOrOther.store(prefix), try WebDAVServer.apacheOrOther.store(prefix)),
            (
                try RcloneServer.common.get().store("disk:\(folder("b"))"),
                try rclone.store(":local:\(folder("b"))")
            ),
            (try DriveServer.shared.get().store(prefix), try DriveServer.shared.get().store(prefix)),
            (try ICloudServer.shared.get().store(prefix), try ICloudServer.shared.get().store(prefix)),
        ]
        for (store, peer) in pairs {
            let group = StoreConformance.Group.all.filter { $0.number == 15 }
            let findings = try await StoreConformance(store, peer: peer, extent: Self.extent).run(group)
            #expect(findings.map(\.outcome) == [.passed])
        }
    }
}

@Suite struct `A folder as a store` {
    @Test func `leaves other people's files alone`() async throws {
        let folder = try TemporaryFolder()
        let store = FolderStore(path: folder.path + "/")
        try await store.create(.header, [1])
        try await store.create(.pack(`Every store`.id(0xab)), [2])
        try folder.makeFolder("index")
        try folder.makeFolder("packs/00/deeper")
        for stray in [
            "packs/readme", "packs/zz", "packs/ab/.DS_Store", "packs/ab/\(`Every store`.id(0xab).hex) (1)",
            "packs/ab/.writing-1", "index/\(`Every store`.id(1).hex.uppercased()).tmp",
            "index/\(`Every store`.id(0xab).hex.uppercased())", "packs/cd",
        ] {
            try folder.write([1], to: stray)
        }
        #expect(try await store.list(.packs) == [.pack(`Every store`.id(0xab))])
        #expect(try await store.list(.index) == [])
    }

    @Test func `leaves nothing behind a failed write`() async throws {
        let folder = try TemporaryFolder()
        let store = FolderStore(path: folder.path)
        try await store.create(.header, [1])
        try await store.create(.index(`Every store`.id(1)), [2])
        let before = try FolderDescription(folder("index"))
        await #expect(throws: ObjectStoreError.self) { try await store.create(.index(`Every store`.id(1)), [3]) }
        #expect(try FolderDescription(folder("index")).lines.keys.sorted() == before.lines.keys.sorted())
    }

    @Test func `says that it is full, and nothing stands under the name`() async throws {
        let folder = try TemporaryFolder()
        let mount = Process()
        mount.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        mount.arguments = ["mount", "-t", "tmpfs", "-o", "size=200k,nr_inodes=9", "tmpfs", folder.path]
        mount.standardError = FileHandle.nullDevice
        try mount.run()
        mount.waitUntilExit()
        // Without the right to mount, the engine's tests with a store that says so have to do.
        guard mount.terminationStatus == 0 else { return }
        defer { umount2(folder.path, 0) }
        let store = FolderStore(path: folder("store"))
        try await store.create(.header, [1])
        let name = ObjectName.pack(`Every store`.id(1))
        await #expect(throws: ObjectStoreError.full) { try await store.create(name, noise(1 << 20, seed: 1)) }
        await #expect(throws: ObjectStoreError.notFound(name.path)) { _ = try await store.read(name) }
        #expect(try names(in: Array(folder("store/packs/01").utf8)) == [])
        try await store.create(name, noise(50_000, seed: 1))
        // No room for names either: folders cannot be made.
        var errors: Set<String> = []
        for number in UInt8(2)...9 {
            do { try await store.create(.pack(`Every store`.id(number)), [1]) } catch { errors.insert("\(error)") }
        }
        #expect(errors == ["full"])
        #expect(try await store.read(name) == noise(50_000, seed: 1))
    }

    @Test func `a folder that cannot be written or made is refused in words`() async throws {
        let store = FolderStore(path: "/proc/coffer/store")
        await #expect(throws: ObjectStoreError.self) { try await store.create(.header, [1]) }
        await #expect(throws: ObjectStoreError.notFound("coffer.json")) { _ = try await store.read(.header) }
        let folder = try TemporaryFolder()
        try folder.write([1], to: "file")
        let inFile = FolderStore(path: folder("file"))
        await #expect(throws: ObjectStoreError.self) { try await inFile.create(.header, [1]) }
        #expect(try folder.read("file") == [1])
    }

    @Test func `half a backup does not go to an empty mount point`() async throws {
        let folder = try TemporaryFolder()
        let store = FolderStore(path: folder.path)
        try await store.create(.header, [1])
        try FileManager.default.removeItem(atPath: folder("coffer.json"))
        await #expect(throws: ObjectStoreError.failed("\(folder.path) is not there any more")) {
            try await store.create(.pack(`Every store`.id(1)), [1])
        }
        #expect(try names(in: Array(folder.path.utf8)) == [])
    }
}

@Suite struct `A store in a folder` {
    @Test func `takes what is no file for no object, and waits for nothing`() async throws {
        let folder = try TemporaryFolder()
        let store = FolderStore(path: folder("store"))
        let wing = try await Wing(store)
        try await wing.backUp(MemorySource(["a": [1, 2, 3]]))
        let packs = try await store.list(.packs)
        for name in packs + (try await store.list(.index)) {
            try require(unlink(folder("store/\(name.path)")) == 0, "unlink")
            try require(mkfifo(folder("store/\(name.path)"), 0o600) == 0, "mkfifo")
            await #expect(throws: ObjectStoreError.notFound(name.path)) { _ = try await store.read(name) }
            await #expect(throws: ObjectStoreError.exists(name.path)) { try await store.create(name, [1]) }
        }
        #expect(try await !wing.verify().findings.isEmpty)
        let socket = ObjectName.index(ObjectID(uncheckedBytes: [UInt8](repeating: 7, count: 16)))
        try require(mkdir(folder("store/\(socket.path)"), 0o700) == 0, "mkdir")
        await #expect(throws: ObjectStoreError.notFound(socket.path)) { _ = try await store.size(of: socket) }
        try require(unlink(folder("store/coffer.json")) == 0, "unlink")
        try require(mkfifo(folder("store/coffer.json"), 0o600) == 0, "mkfifo")
        await #expect(throws: OpenError.noStoreHere) { _ = try await wing.open() }
    }

    @Test func `is rid of what killed writers left, once it is old`() async throws {
        let folder = try TemporaryFolder()
        let wing = try await Wing(FolderStore(path: folder("store")))
        try await wing.backUp(MemorySource(["a": [1, 2, 3]]))
        let packs = try #require(try await wing.store.list(.packs).first).path.split(separator: "/").dropLast()
        let left = ["", "keyring/", "index/", "snapshots/", packs.joined(separator: "/") + "/"].map {
            "store/\($0).writing-1"
        }
        for name in left {
            try folder.write([1, 2, 3, 4], to: name)
            try folder.setModified(name, seconds: Int(Wing.now) - 100_000, nanoseconds: 0)
        }
        try folder.write([5], to: "store/index/.writing-2")
        try folder.setModified("store/index/.writing-2", seconds: Int(Wing.now) - 80_000, nanoseconds: 0)
        try folder.write([6], to: "store/.writing")
        func prune(graceSeconds: UInt64 = 86_400, isTrial: Bool = false) async throws -> UInt64 {
            try await Prune.run(
                try await wing.open(), keeping: { Set($0.map(\.name)) },
                options: Prune.Options(graceSeconds: graceSeconds, isTrial: isTrial), now: Wing.now,
                generator: SystemRandomNumberGenerator()
            ).freedBytes
        }
        #expect(try await prune(isTrial: true) == 20)
        #expect(try await prune() == 20)
        for name in left { #expect(access(folder(name), F_OK) != 0) }
        #expect(access(folder("store/index/.writing-2"), F_OK) == 0, "it may be on its way")
        #expect(try await prune(graceSeconds: 0) == 1)
        #expect(access(folder("store/.writing"), F_OK) == 0, "somebody else's")
        #expect(try await wing.restored().files == ["a": [1, 2, 3]])
    }
}
