import Foundation
import ObjectStores
import Primitives
import Testing

@testable import Coffer

@Suite struct `The web token that a device keeps` {
    private static func secret(_ text: String) -> SecretBytes { SecretBytes(copying: Array(text.utf8)) }

    private static func withTokens(_ body: (DeviceWebTokens, DeviceFolder) async throws -> Void) async throws {
        let folder = DeviceFolder(path: "\(NSTemporaryDirectory())/coffer-tokens-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(atPath: folder.path) }
        try await body(DeviceWebTokens(folder, account: "icloud:iCloud.a"), folder)
    }

    private static func files(_ folder: DeviceFolder) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path).filter {
            !$0.hasSuffix(".lock") && !$0.hasSuffix(".gate")
        }
    }

    @Test func `outlives the program, is its owner's alone, and each account's own`() async throws {
        try await Self.withTokens { tokens, folder in
            let first = try await tokens.take()
            #expect(first.token == nil)
            try first.keep(Self.secret("one"))
            first.release()
            let second = try await DeviceWebTokens(folder, account: "icloud:iCloud.a").take()
            #expect(second.token?.isEqual(to: Self.secret("one")) == true)
            try second.keep(Self.secret("two"))
            second.release()
            let other = try await DeviceWebTokens(folder, account: "icloud:iCloud.a?environment=development").take()
            #expect(other.token == nil)
            other.release()
            let name = try #require(try Self.files(folder).first)
            var status = stat()
            #expect(stat("\(folder.path)/\(name)", &status) == 0 && status.st_mode & 0o777 == 0o600)
            #expect(try folder.read(name) == Array("two\n".utf8))
        }
    }

    @Test func `is held by one at a time`() async throws {
        try await Self.withTokens { tokens, folder in
            let first = try await tokens.take()
            try first.keep(Self.secret("one"))
            let second = Task { () throws(WebTokenFailure) in
                let held = try await DeviceWebTokens(folder, account: "icloud:iCloud.a").take()
                defer { held.release() }
                return held.token
            }
            for _ in 0..<100 { await Task.yield() }
            try first.keep(Self.secret("two"))
            first.release()
            #expect(
                try await second.value?.isEqual(to: Self.secret("two")) == true, "what came of the first is waited for")
        }
    }

    @Test func `goes to whoever waits before it goes again to who had it`() async throws {
        try await Self.withTokens { tokens, folder in
            let first = try await tokens.take()
            let other = Task {
                let held = try await DeviceWebTokens(folder, account: "icloud:iCloud.a").take()
                defer { held.release() }
                try held.keep(Self.secret("the other's"))
            }
            let gate = try #require(try Self.gate(folder))
            while Self.isFree(gate) { await Task.yield() }
            first.release()
            let again = try await tokens.take()
            #expect(again.token?.isEqual(to: Self.secret("the other's")) == true)
            again.release()
            try await other.value
        }
    }

    @Test func `is not waited for by who is stopped`() async throws {
        try await Self.withTokens { tokens, folder in
            let first = try await tokens.take()
            let other = Task {
                let held = try await DeviceWebTokens(folder, account: "icloud:iCloud.a").take()
                held.release()
            }
            other.cancel()
            await #expect(throws: WebTokenFailure("it was stopped")) { try await other.value }
            first.release()
            let next = try await tokens.take()
            next.release()
        }
    }

    private static func gate(_ folder: DeviceFolder) throws -> String? {
        try FileManager.default.contentsOfDirectory(atPath: folder.path).first { $0.hasSuffix(".gate") }
            .map { "\(folder.path)/\($0)" }
    }

    private static func isFree(_ path: String) -> Bool {
        let file = open(path, O_RDWR | O_CLOEXEC)
        defer { close(file) }
        return flock(file, LOCK_EX | LOCK_NB) == 0
    }

    @Test func `does not come back after somebody has signed out`() async throws {
        try await Self.withTokens { tokens, folder in
            let new = try await tokens.take()
            try new.keep(Self.secret("one"))
            new.release()
            let held = try await tokens.take()
            tokens.delete()
            try held.keep(Self.secret("two"))
            held.release()
            #expect(try Self.files(folder) == [])
        }
    }

    @Test func `is not written over by what came of an earlier sign-in`() async throws {
        try await Self.withTokens { tokens, folder in
            let new = try await tokens.take()
            try new.keep(Self.secret("one"))
            try new.keep(Self.secret("two"))
            new.release()
            let held = try await tokens.take()
            #expect(held.token?.isEqual(to: Self.secret("two")) == true)
            tokens.delete()
            let lock = try #require(
                FileManager.default.contentsOfDirectory(atPath: folder.path).first { $0.hasSuffix(".lock") },
                "or others would not wait for whoever holds it")
            let opened = open("\(folder.path)/\(lock)", O_RDWR | O_CLOEXEC)
            defer { close(opened) }
            #expect(flock(opened, LOCK_EX | LOCK_NB) != 0)
            let name = lock.replacing(".lock", with: "")
            try folder.write(name, Array("of another account\n".utf8))
            try held.keep(Self.secret("three"))
            held.release()
            #expect(try folder.read(name) == Array("of another account\n".utf8))
        }
    }

    @Test func `that cannot be kept is told`() async throws {
        try await Self.withTokens { tokens, folder in
            let held = try await tokens.take()
            try FileManager.default.removeItem(atPath: folder.path)
            try Data().write(to: URL(fileURLWithPath: folder.path))
            #expect(throws: WebTokenFailure.self) { try held.keep(Self.secret("one")) }
            held.release()
            await #expect(throws: WebTokenFailure.self) { _ = try await tokens.take() }
        }
    }
}
