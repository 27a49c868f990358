import BackupFormat

/// Copies one object from store to store, in parts: what is on its way takes little memory, however large it is.
struct ObjectCopy: Sendable {
    struct Outcome: Sendable {
        let bytes: Int
        /// An earlier run had copied it.
        let wasThere: Bool
    }

    private static let partBytes = 2 << 20

    let name: ObjectName
    private let sourceBytes: Int?
    private let source: any ObjectStore
    private let target: any ObjectStore
    /// What the target's list shows of it.
    private let listed: ListedObject?

    init(_ object: ListedObject, from source: any ObjectStore, to target: any ObjectStore, listed: ListedObject?) {
        name = object.name
        sourceBytes = object.bytes
        self.source = source
        self.target = target
        self.listed = listed
    }

    func result() async -> Result<Outcome, StoreCopyError> {
        do throws(StoreCopyError) { return .success(try await run()) } catch { return .failure(error) }
    }

    private func run() async throws(StoreCopyError) -> Outcome {
        let bytes = try await size()
        if let listed {
            guard try await sizeAtTarget(listed.bytes) == bytes else { throw .differs(name.path) }
            return Outcome(bytes: bytes, wasThere: true)
        }
        do throws(StoreCopyError) {
            if bytes > Self.partBytes { try await send(bytes) } else { try await create(bytes) }
        } catch .target(.exists) {
            // A list may lack what is there.
            guard try await sizeAtTarget(nil) == bytes else { throw .differs(name.path) }
            return Outcome(bytes: bytes, wasThere: true)
        }
        return Outcome(bytes: bytes, wasThere: false)
    }

    private func size() async throws(StoreCopyError) -> Int {
        if let sourceBytes { return sourceBytes }
        do { return try await source.size(of: name) } catch { throw .source(error) }
    }

    private func sizeAtTarget(_ known: Int?) async throws(StoreCopyError) -> Int? {
        if let known { return known }
        do { return try await target.sizeIfThere(name) } catch { throw .target(error) }
    }

    private func create(_ bytes: Int) async throws(StoreCopyError) {
        let object: [UInt8]
        do { object = try await source.read(name) } catch { throw .source(error) }
        guard object.count == bytes else { throw .source(.truncated(name.path)) }
        do { try await target.create(name, object) } catch { throw .target(error) }
    }

    private func send(_ bytes: Int) async throws(StoreCopyError) {
        let upload: any ObjectUpload
        do { upload = try await target.begin(name) } catch { throw .target(error) }
        do throws(StoreCopyError) {
            let buffer = ScratchBuffer(byteCount: Self.partBytes)
            for offset in stride(from: 0, to: bytes, by: Self.partBytes) {
                let part = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[..<min(Self.partBytes, bytes - offset)])
                do { try await source.read(name, at: offset, into: part) } catch { throw .source(error) }
                do { try await upload.append(UnsafeRawBufferPointer(part)) } catch { throw .target(error) }
            }
            try await requireEnd(bytes)
            do { try await upload.finish() } catch { throw .target(error) }
        } catch {
            await upload.abandon()
            throw error
        }
    }

    /// A list, or an answer, that gave too small a size would cut the copy, and nobody would notice before a restore.
    private func requireEnd(_ bytes: Int) async throws(StoreCopyError) {
        do {
            _ = try await source.read(name, bytes..<bytes + 1)
        } catch .truncated {
            return
        } catch {
            throw .source(error)
        }
        throw .source(.failed("\(name.path) is longer than it said"))
    }
}
