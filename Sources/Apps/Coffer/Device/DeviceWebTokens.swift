import ByteCoding
import Foundation
import ObjectStores
import Primitives
import Synchronization

/// The web token of a sign-in at iCloud, in a file that only its owner may read: it changes with every request, so that no keychain
/// is asked, and a lock keeps other programs away while one waits for an answer.
struct DeviceWebTokens: WebTokens {
    /// Nobody holds it longer than a line may be silent, and some requests more.
    private static let waitNanoseconds: UInt64 = 180_000_000_000
    private static let pollNanoseconds: UInt64 = 10_000_000

    private let clock = WaitingClock.continuous
    private let folder: DeviceFolder
    private let fileName: String
    private var lockName: String { "\(fileName).lock" }
    private var gateName: String { "\(fileName).gate" }

    /// - Parameter account: what the sign-in belongs to.
    init(_ folder: DeviceFolder, account: String) {
        self.folder = folder
        fileName = "icloud-token-\(Hex.encode(Array(sha256(Array(account.utf8)).prefix(8))))"
    }

    var name: String { "\(folder.path)/\(fileName)" }

    func take() async throws(WebTokenFailure) -> any HeldWebToken {
        // Whoever waits for the lock stands in the gate meanwhile, so that who had it last does not get it again before.
        let gate = try await locked(gateName)
        defer { close(gate) }
        let lock = try await locked(lockName)
        do throws(CofferError) {
            return Held(self, lock: lock, token: try read())
        } catch {
            close(lock)
            throw WebTokenFailure(error.message)
        }
    }

    private func locked(_ name: String) async throws(WebTokenFailure) -> Int32 {
        let lock = try open(name)
        let end = clock.now().saturatingAdd(Self.waitNanoseconds)
        while flock(lock, LOCK_EX | LOCK_NB) != 0 {
            let now = clock.now()
            guard now < end else {
                close(lock)
                throw WebTokenFailure("another coffer has been waiting for iCloud for minutes: end it, and try again")
            }
            // Looked at again and again: another program waits for an answer, and tells nobody when it has come.
            await clock.sleepUntil(now.saturatingAdd(Self.pollNanoseconds))
            guard !Task.isCancelled else {
                close(lock)
                throw WebTokenFailure("it was stopped")
            }
        }
        return lock
    }

    private func open(_ name: String) throws(WebTokenFailure) -> Int32 {
        do throws(CofferError) {
            try folder.create()
            let lock = Foundation.open("\(folder.path)/\(name)", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            guard lock >= 0 else { throw folder.failure(name) }
            return lock
        } catch {
            throw WebTokenFailure(error.message)
        }
    }

    fileprivate func read() throws(CofferError) -> SecretBytes? {
        guard var text = try folder.read(fileName) else { return nil }
        defer { text.wipe() }
        return SecretBytes(copying: text.last == 0x0a ? text.dropLast() : text[...])
    }

    /// The locks stay: who holds one, or waits for it, would not meet those who come later.
    func delete() { folder.delete(fileName) }

    fileprivate func write(_ token: SecretBytes) throws(CofferError) {
        var text = token.withBytes { Array($0) } + [0x0a]
        defer { text.wipe() }
        try folder.write(fileName, text)
    }

    private final class Held: HeldWebToken {
        let token: SecretBytes?
        private let tokens: DeviceWebTokens
        private let lock: Int32
        /// What the file holds if nobody signed out or in meanwhile.
        private let last: Mutex<SecretBytes?>

        init(_ tokens: DeviceWebTokens, lock: Int32, token: SecretBytes?) {
            self.tokens = tokens
            self.lock = lock
            self.token = token
            last = Mutex(token)
        }

        func keep(_ next: SecretBytes) throws(WebTokenFailure) {
            do throws(CofferError) {
                // Whoever signed out meanwhile wants none, and who then signed in, perhaps as somebody else, wants theirs.
                if let last = last.withLock({ $0 }) {
                    guard try tokens.read()?.isEqual(to: last) == true else { return }
                }
                try tokens.write(next)
            } catch {
                throw WebTokenFailure("the next sign-in cannot be kept on this device: \(error.message)")
            }
            last.withLock { $0 = next }
        }

        func release() { close(lock) }
    }
}
