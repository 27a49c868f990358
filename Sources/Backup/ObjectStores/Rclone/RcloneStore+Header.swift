package import BackupEngine
package import BackupFormat

/// The one object that is replaced. At each moment one whole header has a name: the new one lies under two names, one after the other,
/// before the old one goes, since a move that is asked for twice may delete what it moved (servers of WebDAV in Go).
extension RcloneStore {
    package func replace(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        let form = try await form(for: name)
        let body = StoreBody.bytes(form.head + bytes + form.tail)
        try await names.alone(with: name.path) { () async throws(ObjectStoreError) in
            guard form.path != name.path else { return try await sendOver(form, body, byteCount: bytes.count) }
            try await finishReplacement()
            try await sendAside(form, body, byteCount: bytes.count) { () async throws(ObjectStoreError) in
                // rclone moves nothing over a file that it thinks the same, by size alone on some remotes.
                try await removeSurely(Self.nextHeader)
                return try await move(form.path, to: Self.nextHeader, byteCount: bytes.count)
            }
            try await sendAside(form, body, byteCount: bytes.count) { () async throws(ObjectStoreError) in
                try await removeSurely(name.path)
                return try await move(form.path, to: name.path, byteCount: bytes.count)
            }
            let found = try await believed(name.path) { () async throws(StoreFailure) in
                try await sizeNow(of: name.path)
            }
            guard found == bytes.count else { throw .failed("\(name.path): what was written to it is not there whole") }
            // If it stays it is the same, and removed the next time.
            try? await remove(Self.nextHeader)
        }
    }

    /// A header that is missing may be one that was being replaced when the writer ended: the new one is complete then. Who reads moves
    /// nothing, since the writer may be at work.
    func whole<Found>(
        _ name: ObjectName, _ ask: (String) async throws(StoreFailure) -> Found
    ) async throws(ObjectStoreError) -> Found {
        guard name == .header else {
            return try await believed(name.path) { () async throws(StoreFailure) in try await ask(name.path) }
        }
        return try await names.alone(with: name.path) { () async throws(ObjectStoreError) in
            try await wholeHeader(ask)
        }
    }

    func wholeHeader<Found>(
        _ ask: (String) async throws(StoreFailure) -> Found
    ) async throws(ObjectStoreError) -> Found {
        // Between a look at the one and a look at the other a writer may have finished.
        for path in [ObjectName.header.path, Self.nextHeader, ObjectName.header.path] {
            do throws(ObjectStoreError) {
                return try await believed(path) { () async throws(StoreFailure) in try await ask(path) }
            } catch .notFound {
                guard try await movesFiles() else { break }
            }
        }
        throw .notFound(ObjectName.header.path)
    }

    /// Gives the header its name back where a writer ended before it could. The other name stays until the next time.
    func finishReplacement() async throws(ObjectStoreError) {
        let path = ObjectName.header.path
        do throws(ObjectStoreError) {
            _ = try await believed(path) { () async throws(StoreFailure) in try await sizeNow(of: path) }
            return
        } catch .notFound {}
        let bytes: [UInt8]
        do throws(ObjectStoreError) {
            bytes = try await believed(Self.nextHeader) { () async throws(StoreFailure) in
                _ = try await sizeNow(of: Self.nextHeader)
                return try await client.download(Self.nextHeader, answerBytesMax: ObjectName.header.bytesMax).body
            }
        } catch .notFound {
            return
        }
        let form = try await form(for: .header)
        let body = StoreBody.bytes(form.head + bytes + form.tail)
        try await sendAside(form, body, byteCount: bytes.count) { () async throws(ObjectStoreError) in
            try await move(form.path, to: path, byteCount: bytes.count)
        }
    }

    /// Where nothing is moved. Nothing is deleted under the name: another device, or a list that lags, may show another size.
    private func sendOver(_ form: RcloneForm, _ body: StoreBody, byteCount: Int) async throws(ObjectStoreError) {
        for sending in 1...Self.triesMax {
            if try await sent(form, body)?.size == byteCount { return }
            await client.pause(afterFailures: sending)
            if try await seen(form.path)?.size == byteCount { return }
        }
        throw .failed("\(form.path): what was written to it is not there whole")
    }
}
