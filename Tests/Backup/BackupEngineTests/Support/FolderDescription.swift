import BackupFormat
import Foundation
import Primitives

@testable import BackupSources

/// Everything that a restore must bring back of a folder, a line for each name.
struct FolderDescription: Equatable {
    private(set) var lines: [String: String] = [:]
    private var firstNames: [UInt64: String] = [:]

    /// - Parameter except: names that are left out, wherever they are.
    init(_ folder: String, except: Set<String> = []) throws {
        try add(Array(folder.utf8), shown: ".", except: except)
    }

    /// What differs, for people.
    func differences(from other: FolderDescription) -> [String] {
        Set(lines.keys).union(other.lines.keys).sorted().compactMap { name in
            lines[name] == other.lines[name]
                ? nil : "\(name): \(lines[name] ?? "not there") | \(other.lines[name] ?? "not there")"
        }
    }

    private mutating func add(_ path: [UInt8], shown: String, except: Set<String>) throws {
        let systemPath = systemPath(path)
        guard let status = FileStatus.ofLink(systemPath) else {
            throw SystemCallFailed(call: "lstat \(shown)", message: systemMessage())
        }
        var line =
            "\(String(status.mode, radix: 8)) \(status.owner):\(status.group) "
            + "\(status.modified.seconds).\(status.modified.nanoseconds)"
        if status.type != S_IFLNK {
            for attribute in extendedAttributes(systemPath) {
                line += " \(String(decoding: attribute.name, as: UTF8.self))=\(attribute.value)"
            }
        }
        switch status.type {
        case S_IFREG:
            line += " \(status.bytes) \(try digest(systemPath)) \(status.links)"
            if status.links > 1 { line += " = \(firstNames[status.inode] ?? shown)" }
            if firstNames[status.inode] == nil { firstNames[status.inode] = shown }
        case S_IFLNK:
            var target = [CChar](repeating: 0, count: 5_000)
            let count = readlink(systemPath, &target, target.count)
            line += " -> \(target[..<max(0, count)].map { UInt8(bitPattern: $0) })"
        case S_IFDIR:
            for name in try names(in: path) where !except.contains(String(decoding: name, as: UTF8.self)) {
                try add(path + [UInt8(ascii: "/")] + name, shown: "\(shown)/\(escaped(name))", except: except)
            }
        default: line += " special"
        }
        lines[shown] = line
    }

    private func digest(_ path: [CChar]) throws -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        try require(file >= 0, "open")
        defer { close(file) }
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = Foundation.read(file, &buffer, buffer.count)
            try require(count >= 0, "read")
            if count == 0 { break }
            content += buffer[..<count]
        }
        return sha256(content).map { String($0, radix: 16) }.joined(separator: ".")
    }

    private func escaped(_ name: [UInt8]) -> String {
        name.map { (0x21...0x7e).contains($0) ? String(UnicodeScalar($0)) : "\\\($0)" }.joined()
    }
}
