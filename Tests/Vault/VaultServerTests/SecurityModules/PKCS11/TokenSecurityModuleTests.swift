import ByteCoding
import CPKCS11
import Foundation
import Primitives
import RecoveryProtocol
import SecurityModules
import Testing
import VaultCore

/// A vault's key in SoftHSM2.
@Suite struct TokenSecurityModuleTests {
    private let folder: TemporaryFolder
    private let dataKey = SecretBytes(copying: Array("the data key, which is a secret.".utf8))

    init() throws { folder = try TemporaryFolder() }

    private func id() -> TokenObjectID {
        var generator = SystemRandomNumberGenerator()
        return .random(using: &generator)
    }

    private func wrap(_ token: Token, _ id: TokenObjectID) throws -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return try TokenSecurityModule.create(in: token, id: id, label: "v").wrap(dataKey, using: &generator)
    }

    @Test func `a data key comes back from the token that wrapped it, and from none of its other keys`() throws {
        let soft = try SoftHSM.newToken()
        let (one, two) = (id(), id())
        let token = try soft.open(in: folder)
        let wrapped = try wrap(token, one)
        #expect(wrapped.count == 60)
        let again = try soft.open(in: folder)
        #expect(try TokenSecurityModule(again, id: one).unwrap(wrapped).isEqual(to: dataKey))
        // Two vaults on one token.
        let other = try wrap(again, two)
        #expect(throws: SecurityModuleError.self) { try TokenSecurityModule(again, id: two).unwrap(wrapped) }
        #expect(throws: SecurityModuleError.self) { try TokenSecurityModule(again, id: id()).unwrap(wrapped) }
        for position in wrapped.indices {
            var bent = wrapped
            bent[position] ^= 1
            #expect(throws: SecurityModuleError.self) { try TokenSecurityModule(again, id: one).unwrap(bent) }
        }
        #expect(throws: SecurityModuleError.refused) { try TokenSecurityModule(again, id: one).unwrap([]) }
        #expect(throws: SecurityModuleError.self) {
            try TokenSecurityModule.create(in: token, id: one, label: "again")
        }
        // One goes, and the other stays.
        try TokenObjects.destroy(one, in: token)
        #expect(try TokenSecurityModule(token, id: two).unwrap(other).isEqual(to: dataKey))
        let error = #expect(throws: SecurityModuleError.self) {
            try TokenSecurityModule(token, id: one).unwrap(wrapped)
        }
        #expect("\(error as Any)".contains("is not in it"))
    }

    @Test func `the wrapping key was made in the token and does not leave it`() throws {
        let soft = try SoftHSM.newToken()
        let token = try soft.open(in: folder)
        let one = id()
        _ = try wrap(token, one)
        let functions = try SoftHSM.functions()
        let raw = try RawSession(soft)
        defer { raw.close() }
        let key = try raw.only(CKO_SECRET_KEY)
        for (attribute, value) in [
            (CKA_SENSITIVE, 1), (CKA_EXTRACTABLE, 0), (CKA_ALWAYS_SENSITIVE, 1), (CKA_NEVER_EXTRACTABLE, 1),
            (CKA_LOCAL, 1), (CKA_PRIVATE, 1), (CKA_TOKEN, 1), (CKA_WRAP, 0),
        ] { #expect(try raw.value(attribute, of: key) == [UInt8(value)], "\(attribute)") }
        #expect(try raw.value(CKA_ID, of: key) == one.bytes)
        var attribute = CK_ATTRIBUTE(type: CKA_VALUE, pValue: nil, ulValueLen: 0)
        #expect(functions.pointee.C_GetAttributeValue?(raw.handle, key, &attribute, 1) == CKR_ATTRIBUTE_SENSITIVE)
    }

    /// Specs/vault.md, section 6, by the token's own functions.
    @Test func `what is wrapped has the bytes that the specification says, and names the vault`() throws {
        let soft = try SoftHSM.newToken()
        let token = try soft.open(in: folder)
        let one = id()
        _ = try wrap(token, one)
        let raw = try RawSession(soft)
        defer { raw.close() }
        let iv = [UInt8](7...18)
        func wrapped(authenticating label: [UInt8]) throws -> [UInt8] {
            try iv + raw.seal(dataKey.withBytes { Array($0) }, key: raw.only(CKO_SECRET_KEY), iv: iv, label)
        }
        let module = TokenSecurityModule(token, id: one)
        let label = Array("coffer vault data key v1".utf8)
        #expect(try module.unwrap(wrapped(authenticating: label + [0] + one.bytes)).isEqual(to: dataKey))
        for other in [[], label, label + [0] + id().bytes, label + one.bytes] {
            #expect(throws: SecurityModuleError.self) { try module.unwrap(wrapped(authenticating: other)) }
        }
    }

    @Test func `a wrong PIN is tried once, and no process tries it again until another one is in its place`() throws {
        let soft = try SoftHSM.newToken()
        let refusals = PINRefusals(path: folder.path("pin-refused"))
        let library = try PKCS11Library(functions: try SoftHSM.functions())
        let pinFile = folder.path("pin")
        func write(_ pin: String) throws {
            try? FileManager.default.removeItem(atPath: pinFile)
            #expect(
                FileManager.default.createFile(
                    atPath: pinFile, contents: Data(pin.utf8), attributes: [.posixPermissions: 0o600]))
        }
        try write("no such PIN\n")
        let wrong = try PINSource.file(pinFile).read()
        try refusals.check(wrong)
        let token = Token(soft.name, library: library, pin: wrong, refusals: refusals, retryAfter: .zero)
        for _ in 0..<5 {
            let error = #expect(throws: TokenError.self) { try TokenObjects.labels(in: token) }
            #expect(error?.kind == .wrongPIN && error?.text.contains("no such PIN") == false)
        }
        // Another process would stop here.
        #expect(throws: SecurityModuleError.self) { try refusals.check(try PINSource.file(pinFile).read()) }
        #expect(try !String(contentsOfFile: folder.path("pin-refused"), encoding: .utf8).contains("no such PIN"))
        try write(SoftToken.pin)
        let right = try PINSource.file(pinFile).read()
        try refusals.check(right)
        _ = try TokenObjects.labels(in: Token(soft.name, library: library, pin: right, refusals: refusals))
        #expect(!FileManager.default.fileExists(atPath: folder.path("pin-refused")))
    }

    @Test func `a PIN file that others may read, a link, and what is no PIN are refused`() throws {
        let path = folder.path("pin")
        for (content, permissions) in [
            ("1234", 0o644), ("1234", 0o620), ("", 0o600), ("\n", 0o600), ("12\n34", 0o600),
            (String(repeating: "1", count: 300), 0o600),
        ] {
            try? FileManager.default.removeItem(atPath: path)
            #expect(
                FileManager.default.createFile(
                    atPath: path, contents: Data(content.utf8), attributes: [.posixPermissions: permissions]))
            let error = #expect(throws: SecurityModuleError.self) { try PINSource.file(path).read() }
            #expect(content.isEmpty || content == "\n" || !"\(error as Any)".contains(content))
        }
        try FileManager.default.removeItem(atPath: path)
        #expect(throws: SecurityModuleError.self) { try PINSource.file(path).read() }
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "/etc/hostname")
        #expect(throws: SecurityModuleError.self) { try PINSource.file(path).read() }
        #expect(throws: SecurityModuleError.self) { try PINSource.descriptor(9999).read() }
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0 && write(ends[1], SoftToken.pin, SoftToken.pin.utf8.count) > 0)
        close(ends[1])
        let soft = try SoftHSM.newToken()
        let pin = try PINSource.descriptor(ends[0]).read()
        close(ends[0])
        _ = try TokenObjects.labels(in: Token(soft.name, library: try SoftHSM.library(), pin: pin))
        #expect(!"\(pin)".contains(SoftToken.pin))
    }

    @Test func `another token with the same label is refused by name, and asked nothing`() throws {
        let soft = try SoftHSM.newToken(label: "the same")
        let missing = SoftToken(name: TokenName(label: "the same", serial: "0123456789abcdef"))
        let error = #expect(throws: TokenError.self) { try TokenObjects.labels(in: try missing.open(in: folder)) }
        #expect(error?.kind == .absent && error?.text.contains(soft.name.serial) == true)
        let renamed = SoftToken(name: TokenName(label: "another", serial: soft.name.serial))
        let anew = #expect(throws: TokenError.self) { try TokenObjects.labels(in: try renamed.open(in: folder)) }
        #expect(anew?.kind == .unfit && anew?.text.contains("initialised anew") == true)
        let nowhere = SoftToken(name: TokenName(label: "nowhere", serial: "0123456789abcdef"))
        let absent = #expect(throws: TokenError.self) { try TokenObjects.labels(in: try nowhere.open(in: folder)) }
        #expect(absent?.kind == .absent)
    }

    @Test func `what is no module is not loaded`() throws {
        let path = folder.path("module.so")
        let good = try Data(contentsOf: URL(filePath: try #require(SoftHSM.module)))
        func expectRefused(_ path: String, _ words: String) {
            let error = #expect(throws: TokenError.self) { try PKCS11Library.open(path: path) }
            #expect(error?.text.contains(words) == true, "\(error as Any)")
        }
        expectRefused(path, "No such file")
        expectRefused("libsofthsm2.so", "full path")
        #expect(FileManager.default.createFile(atPath: path, contents: good, attributes: [.posixPermissions: 0o666]))
        expectRefused(path, "written by others")
        try Data("no library".utf8).write(to: URL(filePath: path))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
        expectRefused(path, "does not load")
        expectRefused(folder.root.path, "no plain file")
    }

    @Test func `settings are read as they were written, and nothing else`() throws {
        let name = TokenName(label: "a label", serial: "0123 4567")
        for pin in [PINSource.file("/etc/a pin"), .descriptor(3)] {
            for sync in [nil, "/var/lib/soft hsm"] {
                let settings = TokenSettings(
                    module: "/usr/lib/a module.so", name: name, id: id(), pin: pin, syncFolder: sync,
                    anchorIntervalMilliseconds: 250, wrapped: [1, 2, 3])
                let text = settings.text
                #expect(TokenSettings(text: text) == settings)
                for altered in [
                    "", text + "\n", text + "more 1\n", String(text.dropLast()),
                    text.replacing("version 1", with: "version 2"),
                    text.replacing("010203", with: "0102A3"), text.replacing("ms 250", with: "ms 0250"),
                    text.replacing("id ", with: "id 00"), text.replacing("serial", with: "number"),
                ] { #expect(TokenSettings(text: altered) == nil, "\(altered)") }
            }
        }
    }
}

/// A session as its owner's tools would open it.
struct RawSession {
    let handle: CK_SESSION_HANDLE
    private let functions: UnsafeMutablePointer<CK_FUNCTION_LIST>

    /// To a token that this process is logged in at already.
    init(_ soft: SoftToken) throws {
        functions = try SoftHSM.functions()
        var (slots, count) = ([CK_SLOT_ID](repeating: 0, count: 256), UInt(256))
        try SoftHSM.check(functions.pointee.C_GetSlotList?(1, &slots, &count))
        for slot in slots.prefix(Int(count)) {
            var info = CK_TOKEN_INFO()
            try SoftHSM.check(functions.pointee.C_GetTokenInfo?(slot, &info))
            let serial = withUnsafeBytes(of: info.serialNumber) { String(decoding: $0, as: UTF8.self) }
            guard serial == soft.name.serial else { continue }
            var session: CK_SESSION_HANDLE = 0
            try SoftHSM.check(
                functions.pointee.C_OpenSession?(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nil, nil, &session))
            handle = session
            return
        }
        throw SoftHSM.Failure(text: "no such token")
    }

    func close() { _ = functions.pointee.C_CloseSession?(handle) }

    /// The handles of all objects of a class.
    func all(_ type: CK_OBJECT_CLASS) throws -> [CK_OBJECT_HANDLE] {
        var type = type
        return try withUnsafeMutableBytes(of: &type) { type in
            var search = CK_ATTRIBUTE(type: CKA_CLASS, pValue: type.baseAddress, ulValueLen: UInt(type.count))
            try SoftHSM.check(functions.pointee.C_FindObjectsInit?(handle, &search, 1))
            var (found, count) = ([CK_OBJECT_HANDLE](repeating: 0, count: 64), UInt(0))
            try SoftHSM.check(functions.pointee.C_FindObjects?(handle, &found, 64, &count))
            try SoftHSM.check(functions.pointee.C_FindObjectsFinal?(handle))
            return Array(found.prefix(Int(count)))
        }
    }

    func only(_ type: CK_OBJECT_CLASS) throws -> CK_OBJECT_HANDLE {
        let found = try all(type)
        guard found.count == 1 else { throw SoftHSM.Failure(text: "\(found.count) objects") }
        return found[0]
    }

    func value(_ type: CK_ATTRIBUTE_TYPE, of object: CK_OBJECT_HANDLE) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 1024)
        let count = try bytes.withUnsafeMutableBytes { buffer in
            var attribute = CK_ATTRIBUTE(type: type, pValue: buffer.baseAddress, ulValueLen: UInt(buffer.count))
            try SoftHSM.check(functions.pointee.C_GetAttributeValue?(handle, object, &attribute, 1))
            return Int(attribute.ulValueLen)
        }
        return Array(bytes.prefix(count))
    }

    /// AES-GCM: ciphertext ‖ tag.
    func seal(_ plaintext: [UInt8], key: CK_OBJECT_HANDLE, iv: [UInt8], _ label: [UInt8]) throws -> [UInt8] {
        var (plaintext, iv, label, sealed) = (plaintext, iv, label, [UInt8](repeating: 0, count: plaintext.count + 16))
        var count = UInt(sealed.count)
        try iv.withUnsafeMutableBufferPointer { iv in
            try label.withUnsafeMutableBufferPointer { label in
                var parameters = CK_GCM_PARAMS(
                    pIv: iv.baseAddress, ulIvLen: UInt(iv.count), ulIvBits: UInt(iv.count * 8),
                    pAAD: label.baseAddress, ulAADLen: UInt(label.count), ulTagBits: 128)
                try withUnsafeMutableBytes(of: &parameters) { parameters in
                    var mechanism = CK_MECHANISM(
                        mechanism: CKM_AES_GCM, pParameter: parameters.baseAddress,
                        ulParameterLen: UInt(parameters.count))
                    try SoftHSM.check(functions.pointee.C_EncryptInit?(handle, &mechanism, key))
                    try SoftHSM.check(
                        functions.pointee.C_Encrypt?(handle, &plaintext, UInt(plaintext.count), &sealed, &count))
                }
            }
        }
        return Array(sealed.prefix(Int(count)))
    }

    /// A data object in the token; a private one needs the PIN.
    func createData(label: String, value: [UInt8], isPrivate: Bool = true) throws {
        var (type, label, value) = (CKO_DATA, Array(label.utf8), value)
        var flags: [UInt8] = [1, isPrivate ? 1 : 0]
        try withUnsafeMutablePointer(to: &type) { type in
            try flags.withUnsafeMutableBytes { flags in
                try label.withUnsafeMutableBytes { label in
                    try value.withUnsafeMutableBytes { value in
                        var template = [
                            CK_ATTRIBUTE(type: CKA_CLASS, pValue: type, ulValueLen: UInt(MemoryLayout<UInt>.size)),
                            CK_ATTRIBUTE(type: CKA_TOKEN, pValue: flags.baseAddress, ulValueLen: 1),
                            CK_ATTRIBUTE(
                                type: CKA_PRIVATE, pValue: flags.baseAddress?.advanced(by: 1), ulValueLen: 1),
                            CK_ATTRIBUTE(
                                type: CKA_LABEL, pValue: label.baseAddress, ulValueLen: UInt(label.count)),
                            CK_ATTRIBUTE(
                                type: CKA_VALUE, pValue: value.baseAddress, ulValueLen: UInt(value.count)),
                        ]
                        var object: CK_OBJECT_HANDLE = 0
                        try SoftHSM.check(
                            functions.pointee.C_CreateObject?(handle, &template, UInt(template.count), &object))
                    }
                }
            }
        }
    }
}
