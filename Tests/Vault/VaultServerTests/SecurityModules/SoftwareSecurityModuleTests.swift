import Foundation
import Primitives
import SecurityModules
import Testing
import VaultCore

@Suite struct SoftwareSecurityModuleTests {
    @Test func `a data key comes back from the same key file alone`() throws {
        let folder = try TemporaryFolder()
        var generator = SystemRandomNumberGenerator()
        let module = try SoftwareSecurityModule.create(path: folder.path("key"), using: &generator)
        let dataKey = SecretBytes.random(32, using: &generator)
        let wrapped = try module.wrap(dataKey, using: &generator)
        #expect(try SoftwareSecurityModule(path: folder.path("key")).unwrap(wrapped).isEqual(to: dataKey))
        let other = try SoftwareSecurityModule.create(path: folder.path("other"), using: &generator)
        #expect(throws: SecurityModuleError.refused) { try other.unwrap(wrapped) }
        for position in [0, 30, wrapped.count - 1] {
            var bent = wrapped
            bent[position] ^= 1
            #expect(throws: SecurityModuleError.refused) { try module.unwrap(bent) }
        }
        #expect(throws: SecurityModuleError.refused) { try module.unwrap([]) }
    }

    @Test func `a key file that others may read is refused, and one is never replaced`() throws {
        let folder = try TemporaryFolder()
        var generator = SystemRandomNumberGenerator()
        let path = folder.path("key")
        _ = try SoftwareSecurityModule.create(path: path, using: &generator)
        let bytes = try Data(contentsOf: URL(filePath: path))
        for permissions in [0o640, 0o604, 0o620, 0o610] {
            try FileManager.default.setAttributes([.posixPermissions: permissions], ofItemAtPath: path)
            #expect(throws: SecurityModuleError.self) { try SoftwareSecurityModule(path: path) }
        }
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
        #expect(throws: Never.self) { try SoftwareSecurityModule(path: path) }
        #expect(throws: SecurityModuleError.self) { try SoftwareSecurityModule.create(path: path, using: &generator) }
        #expect(try Data(contentsOf: URL(filePath: path)) == bytes)
    }

    @Test func `a link, a short file and another file are refused`() throws {
        let folder = try TemporaryFolder()
        var generator = SystemRandomNumberGenerator()
        let path = folder.path("key")
        _ = try SoftwareSecurityModule.create(path: path, using: &generator)
        try FileManager.default.createSymbolicLink(atPath: folder.path("link"), withDestinationPath: path)
        #expect(throws: SecurityModuleError.self) { try SoftwareSecurityModule(path: folder.path("link")) }
        let key = try Data(contentsOf: URL(filePath: path))
        for (name, bytes) in [
            ("short", key.dropLast()), ("long", key + [0]), ("empty", Data()), ("other", Data(count: key.count)),
        ] {
            _ = FileManager.default.createFile(
                atPath: folder.path(name), contents: bytes, attributes: [.posixPermissions: 0o600])
            #expect(throws: SecurityModuleError.self) { try SoftwareSecurityModule(path: folder.path(name)) }
        }
    }
}
