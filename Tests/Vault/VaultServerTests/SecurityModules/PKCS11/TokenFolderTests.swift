import Foundation
import Testing

@testable import SecurityModules

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

@Suite struct `A folder of a simulated token's files` {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func makeFolder(_ name: String) throws {
        try FileManager.default.createDirectory(atPath: folder.path(name), withIntermediateDirectories: true)
    }

    private func makeFile(_ name: String) {
        _ = FileManager.default.createFile(atPath: folder.path(name), contents: Data())
    }

    @Test func `is waited for as SoftHSM makes it`() throws {
        try makeFolder("tokens/one")
        for name in ["tokens/one/a.object", "tokens/one/a.lock", "tokens/b"] { makeFile(name) }
        try TokenFolder.sync(folder.path("tokens"))
        // The folder may itself be reached by a link: opened, it is the folder.
        try FileManager.default.createSymbolicLink(
            atPath: folder.path("link"), withDestinationPath: folder.path("tokens"))
        try TokenFolder.sync(folder.path("link"))
    }

    @Test func `with what would be passed over is an error, and not silently taken for waited for`() throws {
        try makeFolder("deep/one/two")
        try TokenFolder.sync(folder.path("deep"))
        try makeFolder("deep/one/two/three")
        #expect(throws: PrivateFile.Failure.self) { try TokenFolder.sync(folder.path("deep")) }
        try makeFolder("linked")
        makeFile("elsewhere")
        try FileManager.default.createSymbolicLink(
            atPath: folder.path("linked/a.object"), withDestinationPath: folder.path("elsewhere"))
        #expect(throws: PrivateFile.Failure.self) { try TokenFolder.sync(folder.path("linked")) }
    }

    /// Some file systems leave it open in the listing what an entry is.
    @Test func `is read also where the listing does not say what an entry is`() throws {
        try makeFolder("tokens")
        makeFile("file")
        try FileManager.default.createSymbolicLink(
            atPath: folder.path("link"), withDestinationPath: folder.path("file"))
        #expect(mkfifo(folder.path("pipe"), 0o600) == 0)
        let unknown = UInt8(DT_UNKNOWN)
        for (name, kind) in [
            ("file", TokenFolder.Kind.file), ("tokens", .folder), ("link", .link), ("pipe", .other), ("gone", nil),
        ] as [(String, TokenFolder.Kind?)] {
            #expect(try TokenFolder.kind(unknown, of: folder.path(name)) == kind)
        }
    }
}
