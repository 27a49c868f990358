import Foundation
import ObjectStores
import Primitives

/// What a person has to do, to sign in at iCloud.
public enum ICloudSignInStep: Equatable, Sendable {
    /// Open this address in a browser on this machine; it comes back to that port.
    case open(String, port: UInt16)
    /// Open this address in any browser, and bring the address at which it ended.
    case bringBack(String)
}

/// How Apple's answer comes to this device.
public enum ICloudAnswer: Sendable {
    /// The callback of the API token is `http://127.0.0.1:PORT/` or `http://localhost:PORT/`.
    case atPort(UInt16)
    /// A person brings it: the text is wiped.
    case broughtBack(ask: @Sendable () throws -> [UInt8])

    /// What the manual tells people to write into CloudKit's console.
    public static let usualPort: UInt16 = 8_713
}

extension Device {
    private static let browserSeconds = 600.0

    /// Signs in at iCloud, and keeps it on this device once CloudKit has accepted it.
    ///
    /// - Parameters:
    ///   - apiToken: of the container, from CloudKit's console; nil for the one that this device signed in with before; it is wiped.
    ///   - tell: what is to be done now.
    /// - Returns: what the person should know, a sentence each.
    public func signInAtICloud(
        _ location: String, wiping apiToken: inout [UInt8]?, answer: ICloudAnswer,
        tell: @Sendable (ICloudSignInStep) -> Void
    ) async throws(CofferError) -> [String] {
        let access = try ICloudAccess(try ICloudAccess.address(location), folder)
        let token = try Self.apiToken(wiping: &apiToken, else: access)
        // Before anybody goes through Apple's page for nothing.
        try folder.lock(creating: true).release()
        let first = try await access.firstWebToken(token, answer, seconds: Self.browserSeconds, tell)
        let tokens = MemoryWebTokens(first)
        let user: String
        do { user = try await access.client(token, tokens).user() } catch {
            throw CofferError(notSignedInAtICloud: error)
        }
        guard let next = tokens.token else {
            throw CofferError(notSignedInAtICloud: .init(.permanent, "no sign-in came"))
        }
        let lock = try folder.lock(creating: true)
        defer { lock.release() }
        let signIns = StoreSignIns(folder)
        let before = try? signIns.entries()[access.address.account]?.name
        // First: what is kept without it nobody signs out of.
        try signIns.save(user, token, for: access.address.account)
        do throws(WebTokenFailure) {
            let held = try await access.tokens.take()
            defer { held.release() }
            try held.keep(next)
        } catch {
            throw CofferError(
                .damagedState, "The sign-in cannot be kept: \(error.words)",
                advice: "Check the permissions and the space of the state folder, and sign in again.")
        }
        guard let before, before != user else { return [] }
        return [
            "This is another Apple Account than before: it does not see the backups of the other one."
        ]
    }

    private static func apiToken(
        wiping text: inout [UInt8]?, else access: ICloudAccess
    ) throws(CofferError) -> SecretBytes {
        guard var bytes = text else { return try access.apiToken() }
        text?.wipe()
        text = nil
        let token = SecretBytes(wiping: &bytes)
        guard CloudKitSignIn.isAPIToken(token) else {
            throw CofferError(
                .storeSignIn, "This is no API token of CloudKit. Nothing was kept.",
                advice:
                    "It is a long word of letters and digits, from CloudKit's console. Docs/Stores.md says how to make one."
            )
        }
        return token
    }
}

extension ICloudAccess {
    fileprivate func firstWebToken(
        _ apiToken: SecretBytes, _ answer: ICloudAnswer, seconds: Double, _ tell: (ICloudSignInStep) -> Void
    ) async throws(CofferError) -> SecretBytes {
        switch answer {
        case .atPort(let port):
            let listener = try LoopbackAnswer(port: port)
            tell(.open(try await page(apiToken), port: port))
            let found: SecretBytes? = await listener.wait(seconds: seconds) { target in
                CloudKitSignIn.token(in: target).map { .answer($0) } ?? .foreign
            }
            guard let found else {
                throw CofferError(
                    .storeSignIn, "Your browser brought no answer within ten minutes. Nothing was kept.",
                    advice:
                        "Check that the API token's callback is http://127.0.0.1:\(port)/, or use --device: then you bring the "
                        + "answer yourself.")
            }
            return found
        case .broughtBack(let ask):
            tell(.bringBack(try await page(apiToken)))
            guard var text = try? ask() else {
                throw CofferError(
                    .storeSignIn, "No address was brought back. Nothing was kept.",
                    advice: "Run the command again at a terminal.")
            }
            defer { text.wipe() }
            guard let found = CloudKitSignIn.token(in: String(decoding: text, as: UTF8.self)) else {
                throw CofferError(
                    .storeSignIn, "There is no sign-in in that address. Nothing was kept.",
                    advice:
                        "Copy all of the address at which the browser ended: ckWebAuthToken= stands in it. A page that cannot be "
                        + "shown does no harm.")
            }
            return found
        }
    }

    private func page(_ apiToken: SecretBytes) async throws(CofferError) -> String {
        do { return try await client(apiToken, MemoryWebTokens()).signInPage() } catch {
            throw CofferError(notSignedInAtICloud: error)
        }
    }
}

extension CofferError {
    fileprivate init(notSignedInAtICloud failure: StoreFailure) {
        self.init(
            .storeSignIn, "iCloud did not sign you in: \(failure.detail). Nothing was kept.",
            advice:
                "Check the container's name, its environment (development or production) and the API token, which belongs to one of "
                + "the two; then run the command again.")
    }
}
