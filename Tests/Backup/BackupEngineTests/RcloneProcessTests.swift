import BackupEngine
import BackupFormat
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import ObjectStores

/// The real rclone, or a program that is taken for it.
@Suite struct `rclone as a process` {
    static let name = ObjectName.index(`Every store`.id(1))

    /// Whether none of a process's threads runs (proc(5), `state`).
    private static func isStopped(_ processID: Int32) -> Bool {
        let tasks = "/proc/\(processID)/task"
        let states = ((try? FileManager.default.contentsOfDirectory(atPath: tasks)) ?? []).map { task in
            let line = (try? String(contentsOfFile: "\(tasks)/\(task)/stat", encoding: .utf8)) ?? ""
            return line.split(separator: ")").last?.split(separator: " ").first
        }
        return states.allSatisfy { $0 == "T" }
    }

    static func expectFailed(_ server: RcloneServer, _ words: String, _ place: String = ":memory:x") async throws {
        let store = try server.store(place)
        let told = Mutex("")
        await #expect { _ = try await store.size(of: name) } throws: { error in
            guard case ObjectStoreError.failed(let detail) = error else { return false }
            told.withLock { $0 = detail }
            return detail.contains(words)
        }
        #expect(told.withLock { $0 }.contains(words), "\(told.withLock { $0 })")
    }

    @Test func `serves all stores at once, and ends with the last`() async throws {
        let server = try RcloneServer()
        var process: RcloneProcess? = RcloneProcess(environment: server.environment)
        var runs: Set<Int32?> = []
        try await withThrowingTaskGroup(of: Int32?.self) { [process] group in
            for number in 0..<5 {
                group.addTask {
                    let store = try server.store(":local:\(server.home.path)/\(number)", service: process)
                    try await store.create(Self.name, [1])
                    return await process?.running?.processID
                }
            }
            for try await run in group { runs.insert(run) }
        }
        #expect(runs.count == 1 && !runs.contains(nil))
        #expect(server.socketFolders.count == 1)
        let words = try #require(await process?.running).words
        process = nil
        // It comes when nobody is left who could say anything.
        _ = await words.text()
        #expect(server.socketFolders == [])
    }

    @Test func `is started again when it was killed, but not for ever`() async throws {
        let server = try RcloneServer()
        let store = try server.store(":local:\(server.home.path)/store")
        try await store.create(Self.name, [1, 2, 3])
        for _ in 0..<2 {
            let (id, words) = try #require(await server.process.running)
            kill(-id, SIGKILL)
            _ = await words.text()
            #expect(try await store.read(Self.name) == [1, 2, 3])
        }
        let (id, words) = try #require(await server.process.running)
        kill(-id, SIGKILL)
        _ = await words.text()
        // Nor for those who ask after that.
        for _ in 0..<3 {
            await #expect(throws: ObjectStoreError.failed("\(Self.name.path): rclone ended by itself, 3 times")) {
                _ = try await store.read(Self.name)
            }
        }
        #expect(await server.process.running == nil)
    }

    @Test func `that ended long ago is forgotten`() async throws {
        let server = try RcloneServer()
        let clock = StandingClock()
        let process = RcloneProcess(environment: server.environment, clock: clock.waiting)
        for _ in 0..<4 {
            _ = try await process.endpoint()
            let (id, words) = try #require(await process.running)
            kill(-id, SIGKILL)
            _ = await words.text()
            await clock.waiting.sleepUntil(clock.now + 400_000_000_000)
        }
    }

    @Test func `that hangs is ended, and another one started`() async throws {
        let server = try RcloneServer()
        let place = try RcloneAddress("rclone::local:\(server.home.path)/store")
        let watch = AttendedTransport.Watch(
            every: .milliseconds(50), probe: HTTPStoreTransport(stall: .seconds(1)))
        let store = RcloneStore(
            RcloneClient(place, server.process, watch: watch, clock: StandingClock().waiting, dice: { _ in 0 }))
        try await store.create(Self.name, [1, 2, 3])
        let (id, _) = try #require(await server.process.running)
        let children = try String(contentsOfFile: "/proc/\(id)/task/\(id)/children", encoding: .utf8)
        // The first one is rclone, the second its watch.
        let rclone = try #require(children.split(separator: " ").first.flatMap { Int32($0) })
        kill(rclone, SIGSTOP)
        defer { kill(rclone, SIGKILL) }
        // The signal waits for one thread's turn, and until then the others may answer.
        while !Self.isStopped(rclone) { await Task.yield() }
        #expect(try await store.read(Self.name) == [1, 2, 3])
        #expect(await server.process.running?.processID != id)
    }

    @Test func `that is not there, is too old, or is something else, is told`() async throws {
        try await Self.expectFailed(
            try RcloneServer(programs: "/nowhere"),
            "the program rclone is not there; install it from https://rclone.org")
        let folder = try TemporaryFolder()
        func program(_ script: String) throws -> RcloneServer {
            try folder.write(Array("#!/bin/sh\n\(script)\n".utf8), to: "rclone")
            chmod(folder("rclone"), 0o700)
            return try RcloneServer(programs: folder.path)
        }
        // As Debian 12's says and does.
        let old =
            "case $1 in version) echo 'rclone v1.60.1-DEV';; *) echo 'Failed to start remote control' >&2; exit 1;; esac"
        try await Self.expectFailed(
            try program(old), "rclone 1.65 or later is needed, and \(folder("rclone")) is 1.60; there are newer ones")
        try await Self.expectFailed(
            try program("echo 'x\n2026/11/22 14:12:59 CRITICAL: no key 0123456789abcdef0123456789' >&2; exit 3"),
            "rclone does not start: rclone says: CRITICAL: no key …")
        try await Self.expectFailed(try program("exit 0"), "rclone does not start")
    }

    @Test func `that never answers is given up`() async throws {
        let folder = try TemporaryFolder()
        try folder.write(Array("#!/bin/sh\nexec sleep 100\n".utf8), to: "rclone")
        chmod(folder("rclone"), 0o700)
        let server = try RcloneServer(programs: folder.path)
        let process = RcloneProcess(
            environment: server.environment, transport: ScriptedTransport([]), clock: StandingClock().waiting)
        await #expect {
            _ = try await process.endpoint()
        } throws: {
            ($0 as? StoreFailure)?.detail == "rclone does not answer within 60 seconds of its start"
        }
    }

    @Test func `that listens and says nothing is given up`() async throws {
        let folder = try TemporaryFolder()
        let program = """
            #!\(RcloneServer.folder)/python
            import socket, sys, time
            place = [one for one in sys.argv if one.startswith("unix://")][0][7:]
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(place)
            listener.listen(64)
            time.sleep(100)

            """
        try folder.write(Array(program.utf8), to: "rclone")
        chmod(folder("rclone"), 0o700)
        let server = try RcloneServer(programs: folder.path)
        let process = RcloneProcess(
            environment: server.environment, transport: HTTPStoreTransport(stall: .milliseconds(20)))
        await #expect {
            _ = try await process.endpoint()
        } throws: {
            ($0 as? StoreFailure)?.detail == "rclone does not answer within 60 seconds of its start"
        }
    }

    @Test func `asks nobody for the password of its configuration`() async throws {
        let locked =
            "# Encrypted rclone configuration File\n\nRCLONE_ENCRYPT_V0:\n\(String(repeating: "A", count: 160))\n"
        try await Self.expectFailed(try RcloneServer(locked), "set RCLONE_CONFIG_PASS", "box:x")
        let wrong = try RcloneServer(locked, more: ["RCLONE_CONFIG_PASS": "a secret of 2026"])
        await #expect { _ = try await wrong.store("box:x").size(of: Self.name) } throws: { error in
            "\(error)".contains("unable to decrypt configuration") && !"\(error)".contains("a secret of 2026")
        }
    }

    @Test func `says in its own words what is wrong with a remote`() async throws {
        let server = try RcloneServer(
            """
            [away]
            type = webdav
            url = http://127.0.0.1:1/d?token=0123456789abcdef0123
            user = me
            pass = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA0000

            """, more: ["RCLONE_LOW_LEVEL_RETRIES": "1"])
        try await Self.expectFailed(server, "didn't find section in config file (\"none\")", "none:x")
        try server.home.write([1], to: "file")
        try await Self.expectFailed(server, "is a file not a directory", ":local:\(server.home("file"))")
        await #expect { _ = try await server.store("away:x").size(of: Self.name) } throws: { error in
            "\(error)".contains("connection refused") && !"\(error)".contains("0123456789")
                && !"\(error)".contains("AAAA")
        }
    }

    @Test func `does what it is asked to, whatever its variables say`() async throws {
        let server = try RcloneServer(
            more: [
                "RCLONE_DRY_RUN": "true", "RCLONE_RC_ADDR": "127.0.0.1:5572", "RCLONE_RC_NO_AUTH": "true",
                "RCLONE_IGNORE_EXISTING": "true", "RCLONE_EXCLUDE": "*", "RCLONE_MAX_SIZE": "1",
                "RCLONE_SUFFIX": ".old",
                "RCLONE_DUMP": "headers,auth", "RCLONE_LOG_FILE": "/nowhere/log", "RCLONE_ASK_PASSWORD": "true",
                "RCLONE_HASH_FILTER": "0/2", "RCLONE_SOME_LATER_FILTER": "x", "RCLONE_NO_TRAVERSE": "true",
                "RCLONE_CONFIG_MINE_TYPE": "local",
            ])
        let place = "mine:\(server.home.path)/store"
        let store = try server.store(place)
        try await store.create(.header, [1])
        try await store.replace(.header, [2, 3])
        #expect(try server.home.read("store/coffer.json") == [2, 3])
        #expect(try names(in: Array(server.home("store").utf8)).count == 1)
        #expect(try await FolderStore(path: server.home("store")).read(.header) == [2, 3])
        for number in UInt8(1)...8 { try await store.create(.index(`Every store`.id(number)), [number]) }
        #expect(try await store.list(.index).count == 8)
    }

    @Test func `is given the variables that lead to a remote, and no others of its own`() {
        let kept = [
            "HOME", "HTTPS_PROXY", "RCLONE_CONFIG", "RCLONE_CONFIG_PASS", "RCLONE_CONFIG_BOX_TYPE",
            "RCLONE_PASSWORD_COMMAND",
            "RCLONE_S3_REGION", "RCLONE_BWLIMIT", "RCLONE_CA_CERT", "RCLONE_LOW_LEVEL_RETRIES", "RCLONE_HTTP_PROXY",
        ]
        let left = [
            "RCLONE_HASH_FILTER", "RCLONE_FILES_FROM", "RCLONE_LOCAL", "RCLONE_DRY_RUN", "RCLONE_ANYTHING", "RCLONE_",
            "RCLONE_DRIVE_STARRED_ONLY", "RCLONE_S3_VERSION_AT", "RCLONE_METADATA_EXCLUDE", "RCLONE_MEMPROFILE",
            "RCLONE_CONFIGURATION", "RCLONE_RC_SERVE",
        ]
        let given = RcloneRun.environment(Dictionary(uniqueKeysWithValues: (kept + left).map { ($0, "x") }))
        #expect(Set(given.keys) == Set(kept))
    }

    @Test func `shows its password to nobody`() async throws {
        let server = try RcloneServer()
        let endpoint = try await server.process.endpoint()
        let secret = Data(base64Encoded: String(endpoint.authorization.dropFirst("Basic ".count))) ?? Data()
        let password = try #require(String(decoding: secret, as: UTF8.self).split(separator: ":").last)
        #expect(password.count == 64)
        #expect(!"\(endpoint)".contains(password))
        let (id, _) = try #require(await server.process.running)
        let folder = try #require(server.socketFolders.first)
        #expect(
            try FileManager.default.attributesOfItem(atPath: server.home(folder))[.posixPermissions] as? Int == 0o700)
        for process in try FileManager.default.contentsOfDirectory(atPath: "/proc") where Int32(process) != nil {
            guard let line = try? Data(contentsOf: URL(fileURLWithPath: "/proc/\(process)/cmdline")) else { continue }
            #expect(!String(decoding: line, as: UTF8.self).contains(password), "process \(process)")
        }
        let other = RcloneEndpoint(
            url: endpoint.url, authorization: "Basic \(Data("coffer:x".utf8).base64EncodedString())")
        let request = StoreRequest(
            method: "POST", url: "\(other.url)/core/version", headers: other.headers, answerBytesMax: 1 << 20)
        #expect(try await RcloneClient.transport.send(request).status == 401)
        #expect(kill(id, 0) == 0)
    }

    @Test func `takes a whole backup over a bad line, and gives it back`() async throws {
        let files = ["a": noise(3_000_000, seed: 1), "b/c": [1, 2, 3], "d": noise(70_000, seed: 9)]
        let server = try RcloneServer.common.get()
        let folder = try TemporaryFolder()
        let transport = FaultyTransport(RcloneClient.transport, seed: 3, busy: StoreAnswer(status: 504))
        defer { #expect(transport.faultCount > 5) }
        let wing = try await Wing(try server.store("disk:\(folder("store"))", transport: transport))
        try await wing.backUp(MemorySource(files))
        #expect(try await wing.verify().findings.isEmpty)
        #expect(try await wing.restored().files == files)
    }
}
