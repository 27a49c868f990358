/// Where a service answers in tests, by a variable of the environment: on this machine alone, for it gets what a person signs in with.
struct TestEndpoint {
    let variable: String

    /// - Parameter make: of the variable's value; throws if that is another place than this machine.
    /// - Returns: nil if the variable is not set.
    func read<Endpoint>(_ make: (String) throws -> Endpoint) throws(CofferError) -> Endpoint? {
        guard let text = StoreAccount.environment(variable) else { return nil }
        do { return try make(text) } catch {
            throw CofferError(
                .unsupportedStore,
                "\(variable) names another place than this machine: it would get what you sign in with. Nothing was sent.",
                advice: "It is for tests alone, and of the form http://127.0.0.1:PORT. Remove it from the environment.")
        }
    }
}
