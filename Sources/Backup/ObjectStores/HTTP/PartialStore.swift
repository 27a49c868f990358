package import BackupEngine
package import BackupFormat

/// A store whose server sends parts of objects.
package protocol PartialStore: ObjectStore {
    /// The answer to a request for a part, which is not empty.
    ///
    /// - Parameter lent: where the part goes, if the answer is just that; nil for memory of its own.
    func part(
        _ range: Range<Int>, of name: ObjectName, into lent: LentMemory?, answerBytesMax: Int
    ) async throws(ObjectStoreError) -> StoreAnswer
}

extension PartialStore {
    package func read(_ name: ObjectName, _ range: Range<Int>) async throws(ObjectStoreError) -> [UInt8] {
        guard !range.isEmpty else {
            guard try await size(of: name) >= range.upperBound else { throw .truncated(name.path) }
            return []
        }
        return try await part(range, of: name, into: nil).part(range, of: name.path)
    }

    package func read(
        _ name: ObjectName, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
    ) async throws(ObjectStoreError) {
        let lent = LentMemory(buffer, at: offset)
        guard !buffer.isEmpty else { return _ = try await read(name, lent.range) }
        try await part(lent.range, of: name, into: lent).part(into: lent, of: name.path)
    }

    private func part(
        _ range: Range<Int>, of name: ObjectName, into lent: LentMemory?
    ) async throws(ObjectStoreError) -> StoreAnswer {
        try await part(
            range, of: name, into: lent, answerBytesMax: max(range.count, StoreAnswer.slicedBytesMax))
    }
}
