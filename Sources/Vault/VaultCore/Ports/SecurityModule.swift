package import Primitives

/// Why a security module did not give the data key.
package enum SecurityModuleError: Error, Equatable {
    /// The module's own key, or the PIN that leads to it, cannot be read or is not taken; the text says which file or
    /// token, and what to do.
    case unavailable(String)
    /// The token cannot be reached now.
    case unreachable(String)
    /// The token cannot do what a vault needs, or is another one than the vault's.
    case unfit(String)
    /// The wrapped key was not made by this module, or was altered.
    case refused
}

/// The one place that can open the data key, under which all of a vault's records are sealed.
package protocol SecurityModule: Sendable {
    func wrap(
        _ dataKey: SecretBytes, using generator: inout some RandomNumberGenerator
    ) throws(SecurityModuleError) -> [UInt8]
    func unwrap(_ wrapped: [UInt8]) throws(SecurityModuleError) -> SecretBytes
}
