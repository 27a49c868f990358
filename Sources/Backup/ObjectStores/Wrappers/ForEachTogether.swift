import BackupEngine

/// Does the same with many things, eight at a time: far away each waits for its answer. The first failure is the last that begins.
func forEachTogether<Item: Sendable>(
    _ items: [Item], _ body: @escaping @Sendable (Item) async throws(ObjectStoreError) -> Void
) async throws(ObjectStoreError) {
    let failure = await withTaskGroup(of: ObjectStoreError?.self) { group in
        var rest = items[...]
        var failure: ObjectStoreError?
        func begin() {
            guard failure == nil, let item = rest.popFirst() else { return }
            group.addTask {
                do throws(ObjectStoreError) { try await body(item) } catch { return error }
                return nil
            }
        }
        for _ in 0..<8 { begin() }
        while let done = await group.next() {
            failure = failure ?? done
            begin()
        }
        return failure
    }
    if let failure { throw failure }
}
