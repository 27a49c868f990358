package import CPKCS11
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A token's module: the library that its maker gives out, opened by its path.
///
/// A module is code that runs inside of the vault and sees its PIN. It is never unloaded: modules leave threads behind.
package final class PKCS11Library: Sendable {
    // The module's own list of functions, which lives as long as the process and is never written.
    private nonisolated(unsafe) let functions: UnsafeMutablePointer<CK_FUNCTION_LIST>
    /// How many tokens are open through it in this process.
    private let tokensOpen = Mutex(0)

    private static let opened = Mutex<[String: PKCS11Library]>([:])
    private static let slotsMax = 1024

    /// Opens and starts a module; a second time it is the same one.
    package static func open(path: String) throws(TokenError) -> PKCS11Library {
        try opened.withLock { opened throws(TokenError) in
            if let library = opened[path] { return library }
            let library = try PKCS11Library(functions: try load(path))
            opened[path] = library
            return library
        }
    }

    /// Starts a module whose functions were found otherwise.
    package init(functions: UnsafeMutablePointer<CK_FUNCTION_LIST>) throws(TokenError) {
        self.functions = functions
        try start()
    }

    private static func load(_ path: String) throws(TokenError) -> UnsafeMutablePointer<CK_FUNCTION_LIST> {
        // A relative path would be looked for wherever the process happens to be.
        guard path.hasPrefix("/") else { throw TokenError(.unfit, "The module \(path) is not a full path.") }
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw TokenError(.absent, "The module \(path): \(String(cString: strerror(errno))). Nothing was changed.")
        }
        let isOurs = status.st_uid == 0 || status.st_uid == geteuid()
        guard status.st_mode & S_IFMT == S_IFREG, status.st_mode & 0o022 == 0, isOurs else {
            throw TokenError(
                .unfit,
                "The module \(path) may be written by others, or is no plain file. It would run inside of the vault, so it "
                    + "was not loaded: take the permission away, if nobody has used it.")
        }
        guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
            let reason = dlerror().map { String(cString: $0) } ?? "it is no library"
            throw TokenError(.unfit, "The module \(path) does not load: \(reason).")
        }
        guard let symbol = dlsym(handle, "C_GetFunctionList") else {
            throw TokenError(.unfit, "\(path) is no PKCS #11 module: it has no C_GetFunctionList.")
        }
        typealias GetFunctionList =
            @convention(c) (UnsafeMutablePointer<UnsafeMutablePointer<CK_FUNCTION_LIST>?>?) -> CK_RV
        var list: UnsafeMutablePointer<CK_FUNCTION_LIST>?
        let code = unsafeBitCast(symbol, to: GetFunctionList.self)(&list)
        guard code == CKR_OK else { throw TokenError("C_GetFunctionList", answered: code) }
        guard let list, list.pointee.version.major == 2 else {
            throw TokenError(.unfit, "The module \(path) is not of PKCS #11 2.x.")
        }
        return list
    }

    // MARK: Calls

    /// Calls one of the module's functions. One that it does not have, or any answer but CKR_OK, is an error.
    func call(_ name: String, _ body: (CK_FUNCTION_LIST) -> CK_RV?) throws(TokenError) {
        let code = body(functions.pointee) ?? CKR_FUNCTION_NOT_SUPPORTED
        guard code == CKR_OK else { throw TokenError(name, answered: code) }
    }

    /// The answer itself, where one that is not CKR_OK is no error.
    func answer(_ body: (CK_FUNCTION_LIST) -> CK_RV?) -> CK_RV {
        body(functions.pointee) ?? CKR_FUNCTION_NOT_SUPPORTED
    }

    private func start() throws(TokenError) {
        var arguments = CK_C_INITIALIZE_ARGS()
        // Several threads ask: the ledger's, and those of commands in the same process.
        arguments.flags = CKF_OS_LOCKING_OK
        let code = answer { $0.C_Initialize?(&arguments) }
        guard code == CKR_OK || code == CKR_CRYPTOKI_ALREADY_INITIALIZED else {
            throw TokenError("C_Initialize", answered: code)
        }
    }

    /// Ends the module and starts it anew, which some need before they find a token that was away. Nothing happens while
    /// another token of this process is open through it: that one's sessions would be over.
    func restart() throws(TokenError) {
        try tokensOpen.withLock { count throws(TokenError) in
            guard count <= 1 else { return }
            _ = answer { $0.C_Finalize?(nil) }
            try start()
        }
    }

    func tokenOpens() { tokensOpen.withLock { $0 += 1 } }
    func tokenCloses() { tokensOpen.withLock { $0 -= 1 } }

    // MARK: Tokens

    /// The tokens that are there now and were initialised. One that fails does not hide the others.
    package func tokens() throws(TokenError) -> [TokenDescription] {
        var found: [TokenDescription] = []
        var failure: TokenError?
        for slot in try slots() {
            var info = CK_TOKEN_INFO()
            let code = answer { $0.C_GetTokenInfo?(slot, &info) }
            guard code == CKR_OK else {
                failure = TokenError("C_GetTokenInfo", answered: code)
                continue
            }
            if info.flags & CKF_TOKEN_INITIALIZED != 0 { found.append(TokenDescription(slot: slot, info)) }
        }
        if found.isEmpty, let failure { throw failure }
        return found
    }

    private func slots() throws(TokenError) -> [CK_SLOT_ID] {
        var count: CK_ULONG = 0
        try call("C_GetSlotList") { $0.C_GetSlotList?(CK_BBOOL(CK_TRUE), nil, &count) }
        // A few more: one may be plugged in between the two calls. What a module says of its own buffers is not believed.
        var slots = [CK_SLOT_ID](repeating: 0, count: min(Int(clamping: count), Self.slotsMax) + 8)
        count = CK_ULONG(slots.count)
        try call("C_GetSlotList") { $0.C_GetSlotList?(CK_BBOOL(CK_TRUE), &slots, &count) }
        return Array(slots.prefix(Int(clamping: count)))
    }
}
