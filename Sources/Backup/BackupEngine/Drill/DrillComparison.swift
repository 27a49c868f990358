import BackupFormat
import ByteCoding
import Foundation

/// Compares what a drill restored with what the snapshot says, and with the file on this device if it has not changed.
struct DrillComparison {
    /// A change within this time before the backup began may not be the last one.
    private static let settlingSeconds: Int64 = 3
    private static let windowBytes = 1 << 20

    private let snapshot: Snapshot
    private let scratch: any DrillScratch
    private let source: (any BackupSource)?
    private var reader: ChunkReader
    private let comparison = ContentComparison()
    private let buffer = ScratchBuffer(byteCount: windowBytes)
    private let other = ScratchBuffer(byteCount: windowBytes)

    init(
        _ snapshot: Snapshot, _ repository: Repository, _ index: ChunkIndex, _ scratch: any DrillScratch,
        _ source: (any BackupSource)?
    ) {
        self.snapshot = snapshot
        self.scratch = scratch
        self.source = source
        reader = ChunkReader(repository, index)
    }

    /// - Parameter attributes: whether they are compared, too.
    mutating func look(
        at item: DrillItem, attributes: Bool = true
    ) async throws(ObjectStoreError) -> (findings: [DrillReport.Finding], wasCompared: Bool) {
        guard let node = scratch.node(at: item.path) else {
            return ([.notRestored(path: item.path, .refused("it is not there"))], false)
        }
        var findings: [DrillReport.Finding] = []
        if attributes, let what = difference(of: node.metadata, from: item.entry.metadata, node.kind) {
            findings.append(.otherAttributes(path: item.path, what))
        }
        guard let content = item.content else {
            if item.entry.kind.isLink(to: node.kind) { return (findings, false) }
            return (findings + [.otherContent(path: item.path)], false)
        }
        guard node.kind.fileBytes == content.contentBytes, try await isAsSnapshot(item.path, content) else {
            return (findings + [.otherContent(path: item.path)], false)
        }
        let comparison = compareWithSource(item, content)
        if comparison == false { findings.append(.notAsSource(path: item.path)) }
        return (findings, comparison != nil)
    }

    /// What differs, for people; nil if nothing does.
    private func difference(of found: Metadata, from saved: Metadata, _ kind: SourceNode.Kind) -> String? {
        var differences: [String] = []
        if case .symbolicLink = kind {
        } else {
            if found.mode != saved.mode { differences.append("its permissions") }
            // A file system may add attributes of its own.
            if !saved.attributes.allSatisfy({ found.attributes.contains($0) }) {
                differences.append("its extended attributes")
            }
        }
        if scratch.keepsOwners, (found.owner, found.group) != (saved.owner, saved.group) {
            differences.append("its owner")
        }
        if (found.modifiedSeconds, found.modifiedNanoseconds) != (saved.modifiedSeconds, saved.modifiedNanoseconds) {
            differences.append("its time")
        }
        return differences.isEmpty ? nil : differences.joined(separator: ", ")
    }

    // MARK: With the snapshot

    private mutating func isAsSnapshot(_ path: [UInt8], _ content: FileContent) async throws(ObjectStoreError) -> Bool {
        guard let file = try? scratch.open(path) else { return false }
        do throws(ReadError) {
            return try await comparison.isSame(file, as: content, &reader)
        } catch {
            if let failure = error.storeFailure { throw failure }
            return false
        }
    }

    // MARK: With the source

    /// Whether the file on this device is the same; nil if it has changed since the backup, or cannot tell.
    private func compareWithSource(_ item: DrillItem, _ content: FileContent) -> Bool? {
        guard let source, let before = unchanged(item, content, in: source),
            let file = try? source.open(before.node, attempt: 0),
            file.contentBytes == content.contentBytes
                || content.form == .asIs,
            (file.form == .asIs) == (content.form == .asIs), let restored = try? scratch.open(item.path)
        else { return nil }
        let isSame: Bool
        do throws(SourceError) {
            isSame = try content.form == .sqlitePages ? isSamePages(file, restored) : isSameBytes(file, restored)
            try file.finish()
        } catch {
            return nil
        }
        // It may have changed while it was read.
        guard let after = unchanged(item, content, in: source), after.version == before.version else { return nil }
        return isSame
    }

    /// The file, if nothing was done to it since the backup began.
    private func unchanged(
        _ item: DrillItem, _ content: FileContent, in source: any BackupSource
    ) -> (node: SourceNode, version: FileVersion)? {
        guard let node = source.node(at: item.path), node.kind.fileBytes != nil,
            let version = source.version(of: node, form: content.form),
            version.changedSeconds < Int64(clamping: snapshot.beganSeconds) - Self.settlingSeconds,
            (node.metadata.modifiedSeconds, node.metadata.modifiedNanoseconds)
                == (item.entry.metadata.modifiedSeconds, item.entry.metadata.modifiedNanoseconds)
        else { return nil }
        return (node, version)
    }

    private func isSameBytes(_ file: any SourceFile, _ restored: any SourceFile) throws(SourceError) -> Bool {
        guard file.contentBytes == restored.contentBytes else { return false }
        var left = file.contentBytes
        while left > 0 {
            let count = Int(min(left, UInt64(Self.windowBytes)))
            left -= UInt64(count)
            if file.skipHole(count) {
                if restored.skipHole(count) { continue }
                try restored.read(into: .init(rebasing: other.bytes[..<count]))
                guard isZero(.init(rebasing: other.bytes[..<count])) else { return false }
            } else {
                try file.read(into: .init(rebasing: buffer.bytes[..<count]))
                guard try isNext(count, in: restored) else { return false }
            }
        }
        return true
    }

    /// The database as a backup sees it: without what is in its free pages.
    private func isSamePages(_ file: any SourceFile, _ restored: any SourceFile) throws(SourceError) -> Bool {
        guard let database = file as? any DatabaseFile, let pages = try DatabasePages(database) else {
            throw .changed
        }
        let windowPages = Self.windowBytes / pages.pageBytes
        for start in stride(from: 0, to: pages.pageCount, by: windowPages) {
            let window = start..<min(start + windowPages, pages.pageCount)
            try pages.read(window, into: buffer.bytes)
            guard try isNext(window.count * pages.pageBytes, in: restored) else { return false }
        }
        return true
    }

    /// Whether the restored file goes on with what is in the buffer.
    private func isNext(_ count: Int, in restored: any SourceFile) throws(SourceError) -> Bool {
        try restored.read(into: .init(rebasing: other.bytes[..<count]))
        return isEqual(.init(rebasing: buffer.bytes[..<count]), .init(rebasing: other.bytes[..<count]))
    }
}

extension SourceNode.Kind {
    fileprivate var fileBytes: UInt64? {
        if case .file(let bytes, _) = self { return bytes }
        return nil
    }
}

extension Entry.Kind {
    fileprivate func isLink(to kind: SourceNode.Kind) -> Bool {
        guard case .symbolicLink(let saved) = self, case .symbolicLink(let found) = kind else { return false }
        return saved == found
    }
}
