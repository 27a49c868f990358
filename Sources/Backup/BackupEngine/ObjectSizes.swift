import BackupFormat

extension ObjectStore {
    /// The sizes of objects, each asked for by itself and several at a time: far away each waits for its answer. Those that are not
    /// there have none.
    func sizes(of names: [ObjectName]) async throws(ObjectStoreError) -> [ObjectName: Int] {
        typealias Answer = Result<(name: ObjectName, bytes: Int?), ObjectStoreError>
        let answer = await withTaskGroup(of: Answer.self) { group -> Result<[ObjectName: Int], ObjectStoreError> in
            var rest = names[...]
            var sizes: [ObjectName: Int] = [:]
            var failure: ObjectStoreError?
            func begin() {
                guard failure == nil, let name = rest.popFirst() else { return }
                group.addTask {
                    do throws(ObjectStoreError) {
                        return .success((name, try await sizeIfThere(name)))
                    } catch {
                        return .failure(error)
                    }
                }
            }
            for _ in 0..<uploadsAtOnce { begin() }
            while let done = await group.next() {
                switch done {
                case .success(let (name, bytes)): sizes[name] = bytes
                case .failure(let error): failure = failure ?? error
                }
                begin()
            }
            return failure.map { .failure($0) } ?? .success(sizes)
        }
        return try answer.get()
    }

    /// Nil if there is no such object.
    func sizeIfThere(_ name: ObjectName) async throws(ObjectStoreError) -> Int? {
        do { return try await size(of: name) } catch .notFound { return nil }
    }
}
