import BackupFormat
import ByteCoding

/// Tells whether a file on this device is what a snapshot says, by the ids and hashes of its parts: nothing of its content is fetched.
struct ContentComparison {
    private let buffer = ScratchBuffer(byteCount: chunkBytesMax)

    /// - Parameter file: open at its beginning.
    func isSame(
        _ file: any SourceFile, as content: FileContent, _ reader: inout ChunkReader
    ) async throws(ReadError) -> Bool {
        guard file.contentBytes == content.contentBytes else { return false }
        return content.form == .sqlitePages
            ? try await hasPages(file, content, &reader) : try await hasBlocks(file, content, &reader)
    }

    private func hasBlocks(
        _ file: any SourceFile, _ content: FileContent, _ reader: inout ChunkReader
    ) async throws(ReadError) -> Bool {
        var left = content.contentBytes
        for id in try await reader.ids(of: content.blocks) {
            let count = Int(min(left, UInt64(content.blockBytes)))
            let block = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[..<count])
            left -= UInt64(count)
            if id == .zeros, file.skipHole(count) { continue }
            guard (try? file.read(into: block)) != nil else { return false }
            let bytes = UnsafeRawBufferPointer(block)
            guard id == .zeros ? isZero(bytes) : reader.repository.keyring.chunkID(of: bytes) == id else {
                return false
            }
        }
        return left == 0
    }

    /// Each page by its hash, which the store has for full pages too.
    private func hasPages(
        _ file: any SourceFile, _ content: FileContent, _ reader: inout ChunkReader
    ) async throws(ReadError) -> Bool {
        let pageBytes = Int(content.blockBytes)
        let chain: PageChain?
        do { chain = try await PageChain(content, &reader) } catch { throw .store(error) }
        guard let chain else { return false }
        for group in 0..<PageGroup.count(pages: chain.pageCount) {
            let resolved: ResolvedGroup?
            do { resolved = try await chain.group(group, &reader) } catch { throw .store(error) }
            guard let resolved else { return false }
            for page in 0..<min(PageGroup.pagesMax, chain.pageCount - group * PageGroup.pagesMax) {
                let bytes = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[..<pageBytes])
                guard (try? file.read(into: bytes)) != nil,
                    resolved.holds(page, UnsafeRawBufferPointer(bytes), reader.repository.keyring)
                else { return false }
            }
        }
        return true
    }
}
