import BackupFormat
import ByteCoding
import TestSupport
import Testing

private func chunk(_ byte: UInt8) -> ChunkID { ChunkID(uncheckedBytes: [UInt8](repeating: byte, count: 32)) }

@Suite struct `A group of pages` {
    private let group = PageGroup(batches: [
        PageBatch(
            runs: [PageRun(first: 0, count: 2, place: 5), PageRun(first: 2, count: 1, place: 9)],
            content: .full(chunk(1)),
            hashes: [UInt8](repeating: 0xaa, count: 24)),
        PageBatch(runs: [PageRun(first: 3, count: 1, place: 0)], content: .zeros, hashes: []),
        PageBatch(
            runs: [PageRun(first: 4, count: 1, place: 0), PageRun(first: 4_095, count: 1, place: 1)],
            content: .delta(chunk(2), prefix: [7, 0x0102_0304]), hashes: [UInt8](repeating: 0xbb, count: 16)),
    ])

    @Test func `has its golden bytes`() throws {
        let full =
            "01" + "000c" + "000000020005" + "000200010009" + String(repeating: "01", count: 32) + "0018"
            + String(repeating: "aa", count: 24)
        let zeros = "00" + "0006" + "000300010000"
        let delta =
            "02" + "000c" + "000400010000" + "0fff00010001" + String(repeating: "02", count: 32) + "0010"
            + String(repeating: "bb", count: 16) + "0008" + "00000007" + "01020304"
        let bytes = try group.encoded()
        #expect(Hex.encode(bytes) == "00009d" + full + zeros + delta)
        #expect(try PageGroup(decoding: bytes) == group)
    }

    @Test func `is refused when any bit but those of ids, hashes and numbers changes, or decodes to itself`() throws {
        let bytes = try group.encoded()
        for bit in 0..<bytes.count * 8 {
            var changed = bytes
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            guard let decoded = try? PageGroup(decoding: changed) else { continue }
            #expect(try decoded != group && decoded.encoded() == changed, "bit \(bit)")
        }
        for count in 0..<bytes.count {
            #expect(throws: ByteCodingError.self) { try PageGroup(decoding: Array(bytes[..<count])) }
        }
    }

    @Test func `random bytes are refused or are the one encoding of what they say`() {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<3_000 {
            let count = Int.random(in: 0..<80, using: &generator)
            var bytes = (0..<count).map { _ in UInt8.random(in: 0...2, using: &generator) }
            if count >= 3 { bytes.replaceSubrange(0..<3, with: [0, 0, UInt8(count - 3)]) }
            guard let group = try? PageGroup(decoding: bytes) else { continue }
            #expect((try? group.encoded()) == bytes)
        }
    }

    @Test func `must fit its place in the chain`() throws {
        let base = PageLayer(pageCount: 8_192, groups: ChunkList(depth: 0, ids: [chunk(1), chunk(2)]))
        let place = PageGroup.Place(index: 0, pageBytes: 4_096, layer: base, below: base)
        let batch = group.batches[2]
        #expect(throws: Never.self) {
            var near = batch
            near.content = .delta(chunk(2), prefix: [7, 8_191])
            try PageGroup(batches: [near]).check(at: place)
        }
        #expect(throws: ByteCodingError.invalidValue) { try PageGroup(batches: [batch]).check(at: place) }
        #expect(throws: ByteCodingError.invalidValue) {
            try PageGroup(batches: []).check(at: .init(index: 0, pageBytes: 4_096, layer: base, below: nil))
        }
    }
}
