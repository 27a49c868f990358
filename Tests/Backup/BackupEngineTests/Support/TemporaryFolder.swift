import BackupFormat
import Foundation
import Primitives
import TestSupport

@testable import BackupSources

/// A system call that a test relies on and that failed.
struct SystemCallFailed: Error {
    let call: String
    let message: String
}

func require(_ succeeded: Bool, _ call: String) throws {
    guard succeeded else { throw SystemCallFailed(call: call, message: systemMessage()) }
}

/// A folder for one test; it goes when the last holder lets go.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("coffer-test-\(UUID().uuidString)").path
        try require(mkdir(path, 0o700) == 0, "mkdir \(path)")
    }

    deinit {
        // Folders without permissions must go as well.
        for folder in (try? folders(below: Array(path.utf8))) ?? [] { chmod(systemPath(folder), 0o700) }
        try? FileManager.default.removeItem(atPath: path)
    }

    private func folders(below folder: [UInt8]) throws -> [[UInt8]] {
        chmod(systemPath(folder), 0o700)
        return try names(in: folder).flatMap { name -> [[UInt8]] in
            let path = folder + [UInt8(ascii: "/")] + name
            guard let status = FileStatus.ofLink(systemPath(path)), status.type == S_IFDIR else { return [] }
            return [path] + (try folders(below: path))
        }
    }

    /// A path in the folder, of any bytes.
    func bytes(_ name: [UInt8]) -> [CChar] { systemPath(Array(path.utf8), name) }

    func bytes(_ name: String) -> [CChar] { bytes(Array(name.utf8)) }

    /// A path in the folder, as text.
    func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

    func makeFolder(_ name: String, mode: mode_t = 0o755) throws {
        try FileManager.default.createDirectory(atPath: self(name), withIntermediateDirectories: true)
        try require(chmod(self(name), mode) == 0, "chmod")
    }

    func write(_ content: [UInt8], to name: [UInt8], mode: mode_t = 0o644) throws {
        let file = open(bytes(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        try require(file >= 0, "open")
        defer { close(file) }
        var offset = 0
        while offset < content.count {
            let count = content.withUnsafeBytes { buffer in
                Foundation.write(file, buffer.baseAddress.map { $0 + offset }, content.count - offset)
            }
            try require(count > 0, "write")
            offset += count
        }
        try require(fchmod(file, mode) == 0, "fchmod")
    }

    func write(_ content: [UInt8], to name: String, mode: mode_t = 0o644) throws {
        try write(content, to: Array(name.utf8), mode: mode)
    }

    /// A file that is one hole.
    func makeSparse(_ name: String, byteCount: Int) throws {
        try write([], to: name)
        try require(truncate(self(name), byteCount) == 0, "truncate")
    }

    func read(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: self(name))))
    }

    func setModified(_ name: String, seconds: Int, nanoseconds: Int) throws {
        var times = [timespec](repeating: timespec(tv_sec: seconds, tv_nsec: nanoseconds), count: 2)
        try require(utimensat(AT_FDCWD, bytes(name), &times, Int32(AT_SYMLINK_NOFOLLOW)) == 0, "utimensat")
    }
}

/// The names in a folder, as bytes, sorted.
func names(in folder: [UInt8]) throws -> [[UInt8]] {
    let stream = opendir(systemPath(folder))
    guard let stream else { throw SystemCallFailed(call: "opendir", message: systemMessage()) }
    defer { closedir(stream) }
    var names: [[UInt8]] = []
    while let entry = readdir(stream) {
        let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
        if name != Array(".".utf8), name != Array("..".utf8) { names.append(name) }
    }
    return names.sorted { $0.lexicographicallyPrecedes($1) }
}

/// Bytes that do not compress, quickly and the same for every seed: the key stream of AES-256-GCM.
func noise(_ count: Int, seed: UInt64) -> [UInt8] {
    var generator = SeededGenerator(seed: seed)
    let cipher = AES256GCM(key: .random(32, using: &generator))
    let stream = cipher.seal([UInt8](repeating: 0, count: count), nonce: [UInt8](repeating: 0, count: 12))
    return Array(stream[..<count])
}

/// Sets extended attributes as a person's programs would.
func setAttributes(_ attributes: [(name: String, value: [UInt8])], on file: Int32) -> Bool {
    setExtendedAttributes(attributes.map { .init(name: Array($0.name.utf8), value: $0.value) }, on: file).isEmpty
}
