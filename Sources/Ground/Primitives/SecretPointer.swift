extension SecretBytes {
    /// Lends the bytes in the shape that libsodium takes.
    func withPointer<Result>(_ body: (UnsafePointer<UInt8>) -> Result) -> Result {
        withBytes { bytes in
            // There is always an address, also for no bytes.
            guard let base = bytes.assumingMemoryBound(to: UInt8.self).baseAddress else {
                preconditionFailure("a secret without storage")
            }
            return body(base)
        }
    }
}
