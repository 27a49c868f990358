/// What stands behind the `?` of an address that has one option, of a few values.
enum AddressOption {
    struct Unknown: Error {
        /// The name alone, and not all of it: somebody may have put a key there.
        let name: String
    }

    /// - Parameter usual: where the query does not say it. Of several, the last counts.
    static func value<Value: RawRepresentable<String>>(
        of name: String, in query: Substring, usual: Value
    ) throws(Unknown) -> Value {
        var value = usual
        for option in query.split(separator: "&") {
            let parts = option.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts[0] == name, parts.count > 1, let named = Value(rawValue: String(parts[1]))
            else { throw Unknown(name: String(parts[0].prefix(20))) }
            value = named
        }
        return value
    }
}
