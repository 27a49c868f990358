import BackupEngine
import BackupFormat

/// A new object on its way to rclone, gathered as the form in which it is sent.
final class RcloneUpload: ObjectUpload {
    private let store: RcloneStore
    private let name: ObjectName
    private let form: RcloneForm
    private var spool: Spool?
    private var byteCount = 0

    init(store: RcloneStore, name: ObjectName, form: RcloneForm) throws(ObjectStoreError) {
        (self.store, self.name, self.form) = (store, name, form)
        spool = try Spool()
        try append(framing: form.head)
    }

    func append(_ bytes: UnsafeRawBufferPointer) async throws(ObjectStoreError) {
        try spool?.append(bytes)
        byteCount += bytes.count
    }

    func finish() async throws(ObjectStoreError) {
        try append(framing: form.tail)
        guard let gathered = spool?.gathered() else { throw .failed("the upload was given up") }
        try await store.create(name, form, .spooled(gathered), byteCount: byteCount)
        spool = nil
    }

    func abandon() async { spool = nil }

    private func append(framing bytes: [UInt8]) throws(ObjectStoreError) {
        var failure: ObjectStoreError?
        bytes.withUnsafeBytes { bytes in
            do throws(ObjectStoreError) { try spool?.append(bytes) } catch { failure = error }
        }
        if let failure { throw failure }
    }
}
