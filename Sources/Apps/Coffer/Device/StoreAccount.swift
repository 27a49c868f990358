import Foundation
import ObjectStores
import Primitives

/// How this device gets into a store: what a person is asked for, and under which names it is kept.
struct StoreAccount {
    /// What the sign-in belongs to, the most particular first; the first is what `coffer store login` writes.
    let names: [String]
    /// The store's address.
    let store: String
    /// `key` or `password`: what the secret is called in sentences.
    let what: String
    let nameWords: String
    let secretWords: String
    /// Variables that are used where nothing is kept, if there are such.
    let environment: (name: String, secret: String)?
    /// What to look at where the store refuses.
    let deniedAdvice: String
    /// What is often the matter where the secret is not accepted; may be empty.
    var credentialsAdvice = ""

    /// The name and the secret, if both stand in the environment.
    var inEnvironment: (name: String, secret: SecretBytes)? {
        guard let environment, let name = Self.environment(environment.name),
            let secret = Self.environment(environment.secret)
        else { return nil }
        return (name, SecretBytes(copying: Array(secret.utf8)))
    }

    /// The command that signs in, as a shell takes it.
    var login: String { "coffer store login \(quotedStore)" }

    /// The command that ends it.
    var logout: String { "coffer store logout \(quotedStore)" }

    private var quotedStore: String {
        let isPlain = store.utf8.allSatisfy { PercentEncoding.isUnreserved($0) || ":/[]".utf8.contains($0) }
        return isPlain ? store : "'\(store.replacing("'", with: "'\\''"))'"
    }

    /// Nil if it is empty.
    static func environment(_ name: String) -> String? {
        ProcessInfo.processInfo.environment[name].flatMap { $0.isEmpty ? nil : $0 }
    }
}
