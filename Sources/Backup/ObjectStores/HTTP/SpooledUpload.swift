package import BackupEngine

/// A new object on its way into a store that takes it in one request: gathered first, sent at the end.
package final class SpooledUpload: ObjectUpload {
    private let send: (SpooledBytes) async throws(ObjectStoreError) -> Void
    private var spool: Spool?

    /// - Parameter send: makes the object, and throws `.exists` if its name is taken.
    package init(send: @escaping (SpooledBytes) async throws(ObjectStoreError) -> Void) throws(ObjectStoreError) {
        self.send = send
        spool = try Spool()
    }

    package func append(_ bytes: UnsafeRawBufferPointer) async throws(ObjectStoreError) { try spool?.append(bytes) }

    package func finish() async throws(ObjectStoreError) {
        guard let gathered = spool?.gathered() else { throw .failed("the upload was given up") }
        try await send(gathered)
        spool = nil
    }

    package func abandon() async { spool = nil }
}
