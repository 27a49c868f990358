import CPKCS11
import Foundation
import SecurityModules
import Synchronization
import VaultCore

/// SoftHSM2 in this process, with its tokens in a folder of the run's own.
enum SoftHSM {
    struct Failure: Error { let text: String }

    private static let paths = [
        "/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so",
        "/opt/homebrew/lib/softhsm/libsofthsm2.so",
    ]
    static let module = paths.first { FileManager.default.fileExists(atPath: $0) }
    /// In memory where there is such a place: SoftHSM writes its files over in place, and some file systems wait for the disk
    /// then, which would be most of the tests' time.
    static let tokens: URL = {
        let memory = "/dev/shm"
        let base =
            FileManager.default.isWritableFile(atPath: memory)
            ? URL(filePath: memory) : FileManager.default.temporaryDirectory
        return base.appending(path: "coffer-softhsm-\(ProcessInfo.processInfo.processIdentifier)")
    }()

    private static let turn = Mutex(0)

    /// Set once, before the module is first opened: it is read then.
    private static let prepared: Result<String, Failure> = {
        guard let module else { return .failure(Failure(text: "SoftHSM2 is not installed: scripts/setup --tests")) }
        let configuration = tokens.appending(path: "softhsm2.conf")
        do {
            try FileManager.default.createDirectory(
                at: tokens.appending(path: "tokens"), withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
            try "directories.tokendir = \(tokens.path)/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
                .write(to: configuration, atomically: true, encoding: .utf8)
        } catch { return .failure(Failure(text: "\(error)")) }
        setenv("SOFTHSM2_CONF", configuration.path, 1)
        atexit { try? FileManager.default.removeItem(at: SoftHSM.tokens) }
        return .success(module)
    }()

    static func library() throws -> PKCS11Library { try shared.get() }

    private static let shared = Result { try PKCS11Library(functions: functions()) }

    /// The module's own functions, for what a vault never asks for, too. It is not ended: a token that was away makes its vault
    /// start the module anew, and the sessions of the tests beside it would be over.
    static func functions() throws -> UnsafeMutablePointer<CK_FUNCTION_LIST> { try ownFunctions.get().pointer }

    /// Written before anyone has it, and never again.
    private struct Functions: @unchecked Sendable { let pointer: UnsafeMutablePointer<CK_FUNCTION_LIST> }

    private static let ownFunctions = Result {
        typealias GetFunctionList =
            @convention(c) (UnsafeMutablePointer<UnsafeMutablePointer<CK_FUNCTION_LIST>?>?) -> CK_RV
        var list: UnsafeMutablePointer<CK_FUNCTION_LIST>?
        guard let handle = dlopen(try prepared.get(), RTLD_NOW), let symbol = dlsym(handle, "C_GetFunctionList"),
            unsafeBitCast(symbol, to: GetFunctionList.self)(&list) == CKR_OK, let list
        else { throw Failure(text: "no function list") }
        let own = UnsafeMutablePointer<CK_FUNCTION_LIST>.allocate(capacity: 1)
        own.initialize(to: list.pointee)
        own.pointee.C_Finalize = { _ in CKR_OK }
        return Functions(pointer: own)
    }

    /// A new token, initialised as its owner would do it.
    static func newToken(label: String = "vault") throws -> SoftToken {
        let functions = try functions()
        return try turn.withLock { _ in
            let before = Set(try library().tokens().map(\.name.serial))
            let slot = try freeSlot(functions)
            var padded = Array(label.utf8) + [UInt8](repeating: 0x20, count: 32 - label.utf8.count)
            var officer = Array("87654321".utf8)
            var pin = Array(SoftToken.pin.utf8)
            try check(functions.pointee.C_InitToken?(slot, &officer, UInt(officer.count), &padded))
            var session: CK_SESSION_HANDLE = 0
            try check(
                functions.pointee.C_OpenSession?(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nil, nil, &session))
            try check(functions.pointee.C_Login?(session, CKU_SO, &officer, UInt(officer.count)))
            try check(functions.pointee.C_InitPIN?(session, &pin, UInt(pin.count)))
            try check(functions.pointee.C_CloseSession?(session))
            guard let made = try library().tokens().first(where: { !before.contains($0.name.serial) }) else {
                throw Failure(text: "the new token does not show")
            }
            return SoftToken(name: made.name)
        }
    }

    private static func freeSlot(_ functions: UnsafeMutablePointer<CK_FUNCTION_LIST>) throws -> CK_SLOT_ID {
        var slots = [CK_SLOT_ID](repeating: 0, count: 256)
        var count = UInt(slots.count)
        try check(functions.pointee.C_GetSlotList?(0, &slots, &count))
        for slot in slots.prefix(Int(count)) {
            var info = CK_TOKEN_INFO()
            try check(functions.pointee.C_GetTokenInfo?(slot, &info))
            if info.flags & CKF_TOKEN_INITIALIZED == 0 { return slot }
        }
        throw Failure(text: "no free slot")
    }

    static func check(_ code: CK_RV?) throws {
        guard code == CKR_OK else { throw Failure(text: "SoftHSM answered \(code ?? 0)") }
    }
}

/// A token in SoftHSM with the usual PIN.
struct SoftToken {
    static let pin = "482-91-secret-pin"

    let name: TokenName

    /// Where SoftHSM keeps it: the folder whose name ends with the serial number.
    var folder: URL {
        get throws {
            let tokens = SoftHSM.tokens.appending(path: "tokens")
            let names = try FileManager.default.contentsOfDirectory(atPath: tokens.path)
            guard let name = names.first(where: { $0.replacing("-", with: "").hasSuffix(name.serial) }) else {
                throw SoftHSM.Failure(text: "no folder for \(name.serial)")
            }
            return tokens.appending(path: name)
        }
    }

    /// Logged in when it is first used.
    func open(
        pin: String = pin, in folder: TemporaryFolder, library: PKCS11Library? = nil, refusals: PINRefusals? = nil,
        retryAfter: Duration = .zero
    ) throws -> Token {
        let path = folder.path("pin-\(UUID())")
        guard
            FileManager.default.createFile(
                atPath: path, contents: Data("\(pin)\n".utf8), attributes: [.posixPermissions: 0o600])
        else { throw SoftHSM.Failure(text: "no PIN file") }
        return Token(
            name, library: try library ?? SoftHSM.library(), pin: try PINSource.file(path).read(), refusals: refusals,
            retryAfter: retryAfter)
    }

    /// - Parameter isSynced: as an operator of SoftHSM has it; each write then waits for the disk.
    func settings(_ id: TokenObjectID, interval: UInt32 = 0, isSynced: Bool = false) throws -> TokenSettings {
        TokenSettings(
            module: SoftHSM.module ?? "", name: name, id: id, pin: .descriptor(0),
            syncFolder: isSynced ? try folder.path : nil, anchorIntervalMilliseconds: interval)
    }
}
