import ByteCoding
import CPKCS11
import Foundation
import Primitives
import RecoveryProtocol
import SecurityModules
import Synchronization
import Testing
import VaultCore
import VaultServer

/// Every call to the module fails once, with every answer that PKCS #11 knows.
@Suite(.serialized) struct FaultyTokenTests {
    private static let codes: [CK_RV] = {
        let header = ["/usr/include", "/opt/homebrew/include"].lazy.compactMap { root in
            try? String(contentsOfFile: "\(root)/p11-kit-1/p11-kit/pkcs11.h", encoding: .utf8)
        }.first
        let pattern = /#define\s+CKR_\w+\s+\((0x)?([0-9a-fA-F]+)UL\)/
        let found = (header ?? "").matches(of: pattern).compactMap { UInt($0.2, radix: $0.1 == nil ? 10 : 16) }
        return found.filter { $0 != CKR_OK } + [vendorsCode, 0xffff_ffff_ffff_fff0]
    }()

    private let folder: TemporaryFolder
    private let token: SoftToken
    private let library: PKCS11Library
    private let dataKey = SecretBytes(copying: Array("the data key, which is a secret.".utf8))

    init() throws {
        folder = try TemporaryFolder()
        token = try SoftHSM.newToken(label: "faulty")
        library = try FaultyToken.shared.get()
    }

    /// A vault's objects in the token, as `init` makes them.
    private func make(_ id: TokenObjectID) throws -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        let opened = try token.open(in: folder, library: library)
        let wrapped = try TokenSecurityModule.create(in: opened, id: id, label: "v").wrap(dataKey, using: &generator)
        try anchor(opened, id).create()
        return wrapped
    }

    private func anchor(_ opened: Token, _ id: TokenObjectID) throws -> TokenAnchor {
        TokenAnchor(opened, settings: try token.settings(id), lockPath: folder.path("lock"))
    }

    /// Runs it with each call failing in turn, with some of the codes, so that each code is met at several calls; then
    /// lets the caller look what came of it.
    private func failEachCall(
        of body: () throws -> Void, codesAtEach: Int = 4, then check: (Bool) throws -> Void
    ) throws -> (runs: Int, calls: Set<String>) {
        let calls = try FaultyToken.run(FaultyToken.Plan()) { try body() }.calls
        try check(true)
        var runs = 0
        for call in calls.indices {
            for step in 0..<codesAtEach {
                let code = Self.codes[(runs &+ step &* 31) % Self.codes.count]
                let plan = FaultyToken.Plan(failing: call, code: code, isDone: step == 0)
                var isDone = false
                FaultyToken.run(plan) {
                    do {
                        try body()
                        isDone = true
                    } catch { Self.expectClear(error) }
                }
                try check(isDone)
                runs += 1
            }
        }
        return (runs, Set(calls))
    }

    private static func expectClear(_ error: any Error) {
        let text = "\(error)"
        #expect(!text.contains(SoftToken.pin), "\(text)")
        // Where it says nothing more, the command does.
        #expect(text.count > 40 || error as? SecurityModuleError == .refused, "\(text)")
        #expect(error is SecurityModuleError || error is AnchorError || error is TokenError, "\(text)")
    }

    @Test func `a vault's objects are made whole, or can be taken back`() throws {
        var generator = SystemRandomNumberGenerator()
        var id = TokenObjectID.random(using: &generator)
        let report = try failEachCall(of: { _ = try make(id) }) { _ in
            let opened = try token.open(in: folder)
            try TokenObjects.destroy(id, in: opened)
            #expect(try TokenObjects.labels(in: opened).isEmpty)
            id = .random(using: &generator)
        }
        #expect(report.runs > 100)
        #expect(report.calls.isSuperset(of: ["C_Login", "C_GenerateKey", "C_Encrypt", "C_Decrypt", "C_CreateObject"]))
    }

    @Test func `a vault that could not be opened opens when the token is well again`() throws {
        var generator = SystemRandomNumberGenerator()
        let id = TokenObjectID.random(using: &generator)
        let wrapped = try make(id)
        func open(_ library: PKCS11Library?) throws {
            let opened = try token.open(in: folder, library: library)
            #expect(try TokenSecurityModule(opened, id: id).unwrap(wrapped).isEqual(to: dataKey))
            #expect(try anchor(opened, id).heads() == [.none])
        }
        let report = try failEachCall(of: { try open(library) }) { _ in try open(nil) }
        #expect(report.runs > 50)
    }

    @Test func `an anchor holds the old head or the new one, whatever call fails, and goes on`() throws {
        var generator = SystemRandomNumberGenerator()
        let id = TokenObjectID.random(using: &generator)
        _ = try make(id)
        let watching = try anchor(try token.open(in: folder), id)
        let chain = HeadChain()
        var last = KeyedHead.none
        // A session that was open before, so that its loss is met as well.
        let opened = try token.open(in: folder, library: library)
        let asked = try anchor(opened, id)
        var next = chain.head(after: last)
        let report = try failEachCall(of: { try asked.advance(to: next) }, codesAtEach: 6) { isDone in
            let held = try watching.heads()
            #expect(isDone ? held == [next.anchored] : held == [last.anchored] || held == [next.anchored])
            try watching.advance(to: next)
            #expect(try watching.heads() == [next.anchored])
            (last, next) = (next, chain.head(after: next))
        }
        #expect(report.runs > 60 && report.calls.isSuperset(of: ["C_CreateObject", "C_DestroyObject"]))
    }

    @Test func `without its token a vault answers nobody, charges nothing twice, and comes back by itself`()
        async throws
    {
        var generator = SystemRandomNumberGenerator()
        let id = TokenObjectID.random(using: &generator)
        _ = try make(id)
        let vault = try await TestVault(anchor: try anchor(try token.open(in: folder, library: library), id))
        let client = try TestClient(vault)
        let registration = try await client.register(password: "a")
        let serial = try await client.status().serial
        let guess = TestClient.guess(registration, serial: serial)
        FaultyToken.isAway = true
        defer { FaultyToken.isAway = false }
        for _ in 0..<3 {
            let reply = try await client.ask(.evaluate(guess))
            guard case .refused(.unavailable) = reply else { return #expect(Bool(false), "\(reply)") }
        }
        FaultyToken.isAway = false
        let reply = try await client.ask(.evaluate(guess))
        guard case .evaluated = reply else { return #expect(Bool(false), "\(reply)") }
        #expect(try await client.status().attemptsLeft == 9)
    }

    /// Two machines that were resumed from one snapshot, with one token on the network, and no lock that both see.
    @Test(arguments: ["C_CreateObject", "C_GetAttributeValue", "C_FindObjectsInit", "C_DestroyObject"])
    func `whoever writes while another one does takes its own head back`(call: String) throws {
        var generator = SystemRandomNumberGenerator()
        let id = TokenObjectID.random(using: &generator)
        _ = try make(id)
        let here = try anchor(try token.open(in: folder, library: library), id)
        let there = TokenAnchor(
            try token.open(in: folder), settings: try token.settings(id), lockPath: folder.path("there"))
        let chain = HeadChain()
        let (mine, other) = (chain.head(after: .none), chain.head(after: .none, seconds: 1))
        #expect(try here.heads() == [.none])
        let isOthersDone = Mutex(false)
        let plan = FaultyToken.Plan(
            interruption: (call, { isOthersDone.withLock { $0 = (try? there.advance(to: other)) != nil } }))
        let isMineDone = FaultyToken.run(plan) { (try? here.advance(to: mine)) != nil }.0
        let isOthers = isOthersDone.withLock { $0 }
        #expect(isMineDone != isOthers)
        #expect(isOthers == (call != "C_DestroyObject"))
        #expect(try there.heads() == [isOthers ? other.anchored : mine.anchored])
        try there.advance(to: chain.head(after: isOthers ? other : mine))
    }

    @Test func `every answer has its name, and says what is safe and what to do`() {
        #expect(Self.codes.count > 85)
        var texts: Set<String> = []
        for code in Self.codes {
            let error = TokenError("C_Sign", answered: code)
            let isNamed = error.text.hasPrefix("C_Sign answered CKR_") || error.text.hasPrefix("C_Sign answered 0x")
            #expect(isNamed && error.text.hasSuffix(error.kind.meaning))
            texts.insert(error.text)
        }
        #expect(texts.count == Self.codes.count)
        #expect(TokenError.Kind.allCases.allSatisfy { $0.meaning.hasSuffix(".") })
        for (code, kind) in [
            (CKR_PIN_INCORRECT, TokenError.Kind.wrongPIN), (CKR_PIN_LOCKED, .lockedPIN), (CKR_DEVICE_MEMORY, .full),
            (CKR_DEVICE_REMOVED, .absent), (CKR_SESSION_HANDLE_INVALID, .stale), (CKR_MECHANISM_INVALID, .unfit),
            (CKR_TOKEN_WRITE_PROTECTED, .writeProtected), (CKR_GENERAL_ERROR, .failed), (0x8000_0001, .failed),
        ] { #expect(TokenError("C", answered: code).kind == kind) }
    }

    @Test func `a locked token, and one with a single try left, is not asked to log in`() throws {
        for flag in [CKF_USER_PIN_LOCKED, CKF_USER_PIN_FINAL_TRY] {
            let opened = try token.open(in: folder, library: library)
            let calls = FaultyToken.run(FaultyToken.Plan(tokenFlags: flag)) {
                for _ in 0..<3 {
                    let error = #expect(throws: TokenError.self) { try TokenObjects.labels(in: opened) }
                    #expect(error?.kind == .lockedPIN)
                }
            }.calls
            #expect(!calls.contains("C_Login") && !calls.contains("C_OpenSession"))
        }
    }

    @Test(arguments: [0, 1, 1_000, .max / 16, .max - 3, .max] as [CK_ULONG])
    func `a module that lies about how many slots it has takes no memory and brings nothing down`(count: CK_ULONG)
        throws
    {
        FaultyToken.run(FaultyToken.Plan(slotCount: count)) {
            let found = try? library.tokens()
            #expect((found?.count ?? 0) <= 2_000)
        }
    }

    @Test func `a token that failed is left alone for a while, however many ask for it`() throws {
        let opened = try token.open(in: folder, library: library, retryAfter: .seconds(3600))
        _ = try TokenObjects.labels(in: opened)
        FaultyToken.isAway = true
        defer { FaultyToken.isAway = false }
        let calls = FaultyToken.run(FaultyToken.Plan()) {
            for _ in 0..<20 {
                let error = #expect(throws: TokenError.self) { try TokenObjects.labels(in: opened) }
                #expect(error?.kind == .absent)
            }
        }.calls
        #expect(calls.count < 10, "\(calls)")
    }

    @Test func `a token that is full keeps the old head, and goes on when there is room`() throws {
        var generator = SystemRandomNumberGenerator()
        let id = TokenObjectID.random(using: &generator)
        _ = try make(id)
        let asked = try anchor(try token.open(in: folder, library: library), id)
        let one = HeadChain().head(after: .none)
        let calls = try FaultyToken.run(FaultyToken.Plan()) { try asked.heads() }.calls
        // Of the calls of `advance`, the one that creates: it reads twice as `heads` did with an open session.
        let reading = Array(calls.drop { $0 != "C_FindObjectsInit" })
        let plan = FaultyToken.Plan(failing: reading.count * 2, code: CKR_DEVICE_MEMORY)
        FaultyToken.run(plan) {
            let error = #expect(throws: AnchorError.self) { try asked.advance(to: one) }
            #expect(FaultyToken.calls.last == "C_CreateObject" && "\(error as Any)".contains("no room"))
        }
        #expect(try asked.heads() == [.none])
        try asked.advance(to: one)
        #expect(try asked.heads() == [one.anchored])
    }
}

private let vendorsCode: CK_RV = 0x8000_0007

/// Heads that follow each other.
struct HeadChain {
    private let sealer = RecordSealer(dataKey: SecretBytes(copying: [UInt8](repeating: 2, count: 32)))

    func head(after last: KeyedHead, seconds: UInt64 = 0) -> KeyedHead {
        sealer.keyed(
            LedgerHead(
                vaultID: VaultID(uncheckedBytes: [UInt8](repeating: 1, count: VaultID.byteCount)),
                epoch: last.head.epoch + 1, slotCount: 0, root: MerkleTree().root, previous: last.hash,
                time: LedgerTime(seconds: seconds, servingSeconds: 0)))
    }
}
