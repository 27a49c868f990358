import CPKCS11
import SecurityModules
import Synchronization

/// A module that does what SoftHSM does, and answers one chosen call with an error: before the call was done, or after.
///
/// C functions carry no state of their own, so there is one of these in a process; its tests run one at a time.
enum FaultyToken {
    struct Plan {
        /// The call that fails, counted from 0; nil: none.
        var failing: Int?
        var code: CK_RV = CKR_GENERAL_ERROR
        /// The call is done all the same, and its answer lost.
        var isDone = false
        /// Set in what every token says of itself.
        var tokenFlags: CK_FLAGS = 0
        /// How many slots it says that it has.
        var slotCount: CK_ULONG?
        /// Somebody else, who does something right before the first call of this name.
        var interruption: (before: String, by: @Sendable () -> Void)?
        /// Every name that was called.
        var calls: [String] = []
    }

    private static let plan = Mutex(Plan())
    // SoftHSM's own list, which nobody writes.
    private nonisolated(unsafe) static var real = UnsafeMutablePointer<CK_FUNCTION_LIST>.allocate(capacity: 1)

    @discardableResult
    static func run<Result>(_ new: Plan, _ body: () throws -> Result) rethrows -> (Result, calls: [String]) {
        plan.withLock { $0 = new }
        defer { plan.withLock { $0 = Plan() } }
        let result = try body()
        return (result, plan.withLock { $0.calls })
    }

    static var calls: [String] { plan.withLock { $0.calls } }

    /// The token is unplugged, until it is set back.
    static var isAway: Bool {
        get { away.withLock { $0 } }
        set { away.withLock { $0 = newValue } }
    }

    private static let away = Mutex(false)

    private static func answer(_ name: String, _ call: () -> CK_RV?) -> CK_RV {
        let (fails, code, isDone) = plan.withLock { plan in
            plan.calls.append(name)
            return (plan.calls.count - 1 == plan.failing, plan.code, plan.isDone)
        }
        let interruption = plan.withLock { plan in
            guard plan.interruption?.before == name else { return nil as (@Sendable () -> Void)? }
            defer { plan.interruption = nil }
            return plan.interruption?.by
        }
        interruption?()
        if isAway { return CKR_DEVICE_REMOVED }
        if fails, !isDone { return code }
        let answered = call() ?? CKR_FUNCTION_NOT_SUPPORTED
        return fails ? code : answered
    }

    static let shared: Result<PKCS11Library, any Error> = Result {
        real = try SoftHSM.functions()
        let list = UnsafeMutablePointer<CK_FUNCTION_LIST>.allocate(capacity: 1)
        list.initialize(to: real.pointee)
        replaceGeneral(list)
        replaceObjects(list)
        replaceCiphers(list)
        return try PKCS11Library(functions: list)
    }

    private static func replaceGeneral(_ list: UnsafeMutablePointer<CK_FUNCTION_LIST>) {
        list.pointee.C_Initialize = { a in
            FaultyToken.answer("C_Initialize") { FaultyToken.real.pointee.C_Initialize?(a) }
        }
        list.pointee.C_Finalize = { a in
            FaultyToken.answer("C_Finalize") { FaultyToken.real.pointee.C_Finalize?(a) }
        }
        list.pointee.C_GetSlotList = { a, b, c in
            FaultyToken.answer("C_GetSlotList") {
                let code = FaultyToken.real.pointee.C_GetSlotList?(a, b, c)
                if let claimed = FaultyToken.plan.withLock({ $0.slotCount }) { c?.pointee = claimed }
                return code
            }
        }
        list.pointee.C_GetTokenInfo = { a, b in
            FaultyToken.answer("C_GetTokenInfo") {
                let code = FaultyToken.real.pointee.C_GetTokenInfo?(a, b)
                b?.pointee.flags |= FaultyToken.plan.withLock { $0.tokenFlags }
                return code
            }
        }
        list.pointee.C_OpenSession = { a, b, c, d, e in
            FaultyToken.answer("C_OpenSession") { FaultyToken.real.pointee.C_OpenSession?(a, b, c, d, e) }
        }
        list.pointee.C_CloseSession = { a in
            FaultyToken.answer("C_CloseSession") { FaultyToken.real.pointee.C_CloseSession?(a) }
        }
        list.pointee.C_Login = { a, b, c, d in
            FaultyToken.answer("C_Login") { FaultyToken.real.pointee.C_Login?(a, b, c, d) }
        }
    }

    private static func replaceObjects(_ list: UnsafeMutablePointer<CK_FUNCTION_LIST>) {
        list.pointee.C_FindObjectsInit = { a, b, c in
            FaultyToken.answer("C_FindObjectsInit") { FaultyToken.real.pointee.C_FindObjectsInit?(a, b, c) }
        }
        list.pointee.C_FindObjects = { a, b, c, d in
            FaultyToken.answer("C_FindObjects") { FaultyToken.real.pointee.C_FindObjects?(a, b, c, d) }
        }
        list.pointee.C_FindObjectsFinal = { a in
            FaultyToken.answer("C_FindObjectsFinal") { FaultyToken.real.pointee.C_FindObjectsFinal?(a) }
        }
        list.pointee.C_GetAttributeValue = { a, b, c, d in
            FaultyToken.answer("C_GetAttributeValue") { FaultyToken.real.pointee.C_GetAttributeValue?(a, b, c, d) }
        }
        list.pointee.C_CreateObject = { a, b, c, d in
            FaultyToken.answer("C_CreateObject") { FaultyToken.real.pointee.C_CreateObject?(a, b, c, d) }
        }
        list.pointee.C_DestroyObject = { a, b in
            FaultyToken.answer("C_DestroyObject") { FaultyToken.real.pointee.C_DestroyObject?(a, b) }
        }
    }

    private static func replaceCiphers(_ list: UnsafeMutablePointer<CK_FUNCTION_LIST>) {
        list.pointee.C_GenerateKey = { a, b, c, d, e in
            FaultyToken.answer("C_GenerateKey") { FaultyToken.real.pointee.C_GenerateKey?(a, b, c, d, e) }
        }
        list.pointee.C_EncryptInit = { a, b, c in
            FaultyToken.answer("C_EncryptInit") { FaultyToken.real.pointee.C_EncryptInit?(a, b, c) }
        }
        list.pointee.C_Encrypt = { a, b, c, d, e in
            FaultyToken.answer("C_Encrypt") { FaultyToken.real.pointee.C_Encrypt?(a, b, c, d, e) }
        }
        list.pointee.C_DecryptInit = { a, b, c in
            FaultyToken.answer("C_DecryptInit") { FaultyToken.real.pointee.C_DecryptInit?(a, b, c) }
        }
        list.pointee.C_Decrypt = { a, b, c, d, e in
            FaultyToken.answer("C_Decrypt") { FaultyToken.real.pointee.C_Decrypt?(a, b, c, d, e) }
        }
    }
}
