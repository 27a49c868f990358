import BackupFormat
import ByteCoding
import Primitives
import Synchronization
import TestSupport
import Testing

@testable import BackupEngine

/// A file in memory that fails when it is told to.
private final class PlainFile: DeviceFile {
    private let state = Mutex((bytes: [UInt8](), isBroken: false, isFull: false))

    func breakDown() { state.withLock { $0.isBroken = true } }
    func fill() { state.withLock { $0.isFull = true } }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) -> Bool {
        state.withLock { state in
            guard !state.isBroken, Int(offset) + buffer.count <= state.bytes.count else { return false }
            buffer.copyBytes(from: state.bytes[Int(offset)..<Int(offset) + buffer.count])
            return true
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) -> Bool {
        state.withLock { state in
            guard !state.isFull, Int(offset) == state.bytes.count else { return false }
            state.bytes += bytes
            return true
        }
    }
}

private final class PlainFiles: UnnamedFiles {
    private let made = Mutex<[PlainFile]>([])
    let isFull: Bool

    init(isFull: Bool = false) { self.isFull = isFull }

    var all: [PlainFile] { made.withLock { $0 } }

    func make() -> (any DeviceFile)? {
        let file = PlainFile()
        if isFull { file.fill() }
        made.withLock { $0.append(file) }
        return file
    }
}

@Suite struct `A table of chunks` {
    private func record(_ number: Int) -> ChunkTable.Record {
        let entry = PackEntry(
            chunk: .zeros, compression: number.isMultiple(of: 2) ? .none : .zstandard, contentBytes: number + 1,
            storedBytes: number / 2 + 1, pieceStart: 0, pieceBytes: number / 2 + 1)
        return ChunkTable.Record(pack: number % 70, packOffset: number * 3, entry)
    }

    /// Ids, some of which agree in their first bytes, or in all that decides on the place.
    private func ids(_ count: Int, seed: UInt64) throws -> [ChunkID] {
        var generator = SeededGenerator(seed: seed)
        var ids: [ChunkID] = []
        for number in 0..<count {
            var bytes = generator.bytes(ChunkID.byteCount)
            if number.isMultiple(of: 5), let last = ids.last { bytes.replaceSubrange(..<9, with: last.bytes[..<9]) }
            ids.append(try ChunkID(bytes))
        }
        return ids
    }

    private func expect(_ table: ChunkTable, _ ids: ArraySlice<ChunkID>, absent: ArraySlice<ChunkID>) throws {
        for (number, id) in ids.enumerated() {
            let found = try #require(try table.find(id)?.record)
            let wanted = record(number)
            #expect(found.pack == wanted.pack && found.packOffset == wanted.packOffset)
            #expect(found.storedBytes == wanted.storedBytes && found.contentBytes == wanted.contentBytes)
            #expect(found.compression == wanted.compression && !found.isPromised)
        }
        for id in absent { #expect(try table.find(id) == nil) }
    }

    @Test(arguments: [1, 7, 300, 100_000])
    func `finds what was put in and nothing else, in memory and on the disk`(recordsMax: Int) throws {
        let files = PlainFiles()
        var table = ChunkTable(files, recordsInMemoryMax: recordsMax)
        let ids = try ids(1_500, seed: UInt64(recordsMax))
        for (number, id) in ids[..<1_200].enumerated() {
            #expect(try table.insert(id, record(number)))
            if number.isMultiple(of: 7) { #expect(try !table.insert(ids[number / 2], record(0))) }
        }
        #expect(table.count == 1_200 && files.all.isEmpty == (recordsMax > 1_200))
        #expect(table.count - table.inRun <= recordsMax)
        try expect(table, ids[..<1_200], absent: ids[1_200...])
    }

    @Test func `reads a small part of a large run`() throws {
        let files = PlainFiles()
        var table = ChunkTable(files, recordsInMemoryMax: 30_000)
        let ids = try ids(66_000, seed: 8)
        for (number, id) in ids[..<65_000].enumerated() { _ = try table.insert(id, record(number)) }
        #expect(table.inRun == 60_000)
        try expect(table, ids[..<65_000], absent: ids[65_000...])
    }

    @Test func `marks each chunk by itself`() throws {
        var table = ChunkTable(PlainFiles(), recordsInMemoryMax: 100)
        let ids = try ids(330, seed: 3)
        for (number, id) in ids.enumerated() { _ = try table.insert(id, record(number)) }
        var marks = ChunkMarks(for: table)
        for id in ids.indices.filter({ $0.isMultiple(of: 3) }).map({ ids[$0] }) {
            marks.mark(try #require(try table.find(id)?.place))
        }
        for (number, id) in ids.enumerated() {
            #expect(marks.isMarked(try #require(try table.find(id)?.place)) == number.isMultiple(of: 3))
        }
    }

    @Test func `a copy stays as it was`() throws {
        var table = ChunkTable(PlainFiles(), recordsInMemoryMax: 50)
        let ids = try ids(400, seed: 4)
        for (number, id) in ids[..<120].enumerated() { _ = try table.insert(id, record(number)) }
        let copy = table
        for (number, id) in ids.enumerated() { _ = try table.insert(id, record(number)) }
        try expect(copy, ids[..<120], absent: ids[120...])
        try expect(table, ids[...], absent: [])
    }

    @Test func `without room on the disk everything stays in memory`() throws {
        let files = PlainFiles(isFull: true)
        var table = ChunkTable(files, recordsInMemoryMax: 50)
        let ids = try ids(400, seed: 5)
        for (number, id) in ids.enumerated() { _ = try table.insert(id, record(number)) }
        #expect(files.all.count == 1 && table.inRun == 0)
        try expect(table, ids[...], absent: [])
    }

    @Test func `a disk that cannot be read is an error, and no chunk is called missing`() throws {
        let files = PlainFiles()
        var table = ChunkTable(files, recordsInMemoryMax: 50)
        let ids = try ids(60, seed: 6)
        for (number, id) in ids.enumerated() { _ = try table.insert(id, record(number)) }
        try #require(files.all.last).breakDown()
        #expect(throws: ObjectStoreError.self) { try table.find(ids[0]) }
        #expect(throws: ObjectStoreError.self) { try table.insert(ids[0], record(0)) }
        #expect(try table.find(ids[59]) != nil)
    }
}
