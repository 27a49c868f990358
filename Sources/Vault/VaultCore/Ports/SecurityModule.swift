package import Primitives

/// Why a security module did not give the data key.
package enum SecurityModuleError: Error, Equatable {
    /// The module's own key cannot be read; the text says which file or token, and what to do.
    case unavailable(String)
    /// The wrapped key was not made by this module, or was altered.
    case refused
}

/// The one place that can open the data key, under which all of a vault's records are sealed.
package protocol SecurityModule: Sendable {
    func wrap(_ dataKey: SecretBytes, nonce: [UInt8]) throws(SecurityModuleError) -> [UInt8]
    func unwrap(_ wrapped: [UInt8]) throws(SecurityModuleError) -> SecretBytes
}
