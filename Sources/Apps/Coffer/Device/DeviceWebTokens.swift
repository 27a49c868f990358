import ByteCoding
import Foundation
import ObjectStores
import Primitives

/// The web token of a sign-in at iCloud, in a file that only its owner may read: it changes with every request, so that no keychain
/// is asked, and a lock keeps other programs away while one waits for an answer.
struct DeviceWebTokens: WebTokens {
    /// Nobody holds it longer than a line may be silent, and some requests more.
    private static let waitSeconds = 180.0
    private static let pollNanoseconds: UInt64 = 10_000_000

    private let folder: DeviceFolder
    private let fileName: String
    private var lockName: String { "\(fileName).lock" }

    /// - Parameter account: what the sign-in belongs to.
    init(_ folder: DeviceFolder, account: String) {
        self.folder = folder
        fileName = "icloud-token-\(Hex.encode(Array(sha256(Array(account.utf8)).prefix(8))))"
    }

    var name: String { "\(folder.path)/\(fileName)" }

    func take() async throws(WebTokenFailure) -> any HeldWebToken {
        let lock = try open()
        let end = Date(timeIntervalSinceNow: Self.waitSeconds)
        while flock(lock, LOCK_EX | LOCK_NB) != 0 {
            guard Date() < end else {
                close(lock)
                throw WebTokenFailure("another coffer has been waiting for iCloud for minutes: end it, and try again")
            }
            // Another program waits for an answer, and tells nobody when it has come.
            try? await Task.sleep(nanoseconds: Self.pollNanoseconds)
        }
        do throws(CofferError) {
            return Held(folder: folder, fileName: fileName, lock: lock, token: try read())
        } catch {
            close(lock)
            throw WebTokenFailure(error.message)
        }
    }

    private func open() throws(WebTokenFailure) -> Int32 {
        do throws(CofferError) {
            try folder.create()
            let lock = Foundation.open("\(folder.path)/\(lockName)", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            guard lock >= 0 else { throw folder.failure(lockName) }
            return lock
        } catch {
            throw WebTokenFailure(error.message)
        }
    }

    private func read() throws(CofferError) -> SecretBytes? {
        guard var text = try folder.read(fileName) else { return nil }
        defer { text.wipe() }
        return SecretBytes(copying: text.last == 0x0a ? text.dropLast() : text[...])
    }

    func delete() {
        folder.delete(fileName)
        folder.delete(lockName)
    }

    private final class Held: HeldWebToken {
        let token: SecretBytes?
        private let folder: DeviceFolder
        private let fileName: String
        private let lock: Int32

        init(folder: DeviceFolder, fileName: String, lock: Int32, token: SecretBytes?) {
            self.folder = folder
            self.fileName = fileName
            self.lock = lock
            self.token = token
        }

        func keep(_ next: SecretBytes) throws(WebTokenFailure) {
            // Whoever signed out meanwhile wants none.
            guard token == nil || access("\(folder.path)/\(fileName)", F_OK) == 0 else { return }
            var text = next.withBytes { Array($0) } + [0x0a]
            defer { text.wipe() }
            do throws(CofferError) { try folder.write(fileName, text) } catch {
                throw WebTokenFailure("the next sign-in cannot be kept on this device: \(error.message)")
            }
        }

        func release() { close(lock) }
    }
}
