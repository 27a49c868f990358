/// Does the same with many things, some at a time: far away each waits for its answer. After the first failure none begins.
///
/// - Returns: what came of each, in no particular order.
package func together<Item: Sendable, Value: Sendable>(
    _ items: [Item], atOnce: Int, _ body: @escaping @Sendable (Item) async throws(ObjectStoreError) -> Value
) async throws(ObjectStoreError) -> [Value] {
    typealias Answer = Result<Value, ObjectStoreError>
    let answer = await withTaskGroup(of: Answer.self) { group -> Result<[Value], ObjectStoreError> in
        var rest = items[...]
        var values: [Value] = []
        var failure: ObjectStoreError?
        func begin() {
            guard failure == nil, let item = rest.popFirst() else { return }
            group.addTask {
                do throws(ObjectStoreError) { return .success(try await body(item)) } catch { return .failure(error) }
            }
        }
        for _ in 0..<atOnce { begin() }
        while let done = await group.next() {
            switch done {
            case .success(let value): values.append(value)
            case .failure(let error): failure = failure ?? error
            }
            begin()
        }
        return failure.map { .failure($0) } ?? .success(values)
    }
    return try answer.get()
}
