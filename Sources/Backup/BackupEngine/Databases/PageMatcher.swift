import BackupFormat

/// Finds old pages that share content with new ones, wherever they are, in bounded memory: sampled fingerprints of the
/// old image in a table of at most 4 MiB.
///
/// A fingerprint is a gear hash (Xia et al., Ddelta, 2014) over 40 bytes; of one in 2^n places, chosen by the hash itself, the
/// table remembers a page. What it misses or mixes up costs bytes and nothing else: a prefix is proven by the pages' hashes.
final class PageMatcher {
    private static let windowBytes = 40
    private static let entriesLogMax = 20
    private static let probesMax = 8
    /// Many fingerprints are equal: somewhat more than there are entries may be sampled.
    private static let samplesMax = 1_400_000
    private static let sampleLogMin = 5
    /// Old pages from anywhere, in bytes: with those from the same places they stay below the format's limit.
    private static let chosenBytesMax = 512 << 10
    private static let isTaken = UInt16.max

    private let pageBytes: Int
    private let mask: UInt64
    private let gears: UnsafeMutablePointer<UInt64>
    /// A page's number plus one in the low bits, and of a fingerprint's hash as much as fits above; 0 where there is none.
    private let entries: UnsafeMutableBufferPointer<UInt32>
    private let pageMask: UInt32
    /// How many fingerprints of the current batch each old page shares.
    private var counts: [UInt16]
    private var touched: [Int] = []
    /// Old pages of zeros: nothing can be learned from them.
    private var zeroPages: PageSet

    init(pageCount: Int, pageBytes: Int) {
        self.pageBytes = pageBytes
        var sampleLog = Self.sampleLogMin
        while (pageCount * pageBytes) >> sampleLog > Self.samplesMax { sampleLog += 1 }
        mask = ((1 << UInt64(sampleLog)) - 1) << UInt64(Self.windowBytes - sampleLog)
        pageMask = UInt32.max >> UInt32(min(UInt32(truncatingIfNeeded: pageCount).leadingZeroBitCount, 31))
        var entriesLog = 8
        while entriesLog < Self.entriesLogMax, 1 << (entriesLog - 1) < (pageCount * pageBytes) >> sampleLog {
            entriesLog += 1
        }
        entries = .allocate(capacity: 1 << entriesLog)
        entries.initialize(repeating: 0)
        gears = .allocate(capacity: 256)
        var state: UInt64 = 88_172_645_463_325_252
        for gear in 0..<256 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            (gears + gear).initialize(to: state)
        }
        counts = [UInt16](repeating: 0, count: pageCount)
        zeroPages = PageSet(count: pageCount)
    }

    deinit {
        entries.deallocate()
        gears.deallocate()
    }

    /// Takes up a page of the old image.
    func add(_ page: Int, _ bytes: UnsafeRawBufferPointer) {
        if isZero(bytes) { return zeroPages.insert(page) }
        forEachFingerprint(of: bytes) { hash in
            let entry = UInt32(truncatingIfNeeded: hash) & ~pageMask | UInt32(truncatingIfNeeded: page &+ 1)
            var slot = slot(of: hash)
            for _ in 0..<Self.probesMax {
                if entries[slot] == 0 { entries[slot] = entry }
                if (entries[slot] ^ entry) & ~pageMask == 0 { break }
                slot = next(slot)
            }
        }
    }

    /// The old pages to make a prefix of: those at the same places, and those from anywhere that share most; rising.
    ///
    /// - Parameters:
    ///   - pages: the places of the new pages.
    ///   - content: the new pages, one behind the other.
    func prefix(for pages: [Int], _ content: UnsafeRawBufferPointer) -> [UInt32] {
        forEachFingerprint(of: content) { hash in
            let check = UInt32(truncatingIfNeeded: hash)
            var slot = slot(of: hash)
            for _ in 0..<Self.probesMax {
                let entry = entries[slot]
                if entry == 0 { break }
                if (entry ^ check) & ~pageMask == 0 {
                    let page = Int(entry & pageMask) - 1
                    if counts[page] == 0 { touched.append(page) }
                    if counts[page] < Self.isTaken - 1 { counts[page] += 1 }
                    break
                }
                slot = next(slot)
            }
        }
        var prefix: [Int] = pages.filter { $0 < counts.count && !zeroPages.contains($0) }
        for page in prefix { counts[page] = Self.isTaken }
        prefix += best(Self.chosenBytesMax / pageBytes)
        for page in touched + prefix { counts[page] = 0 }
        touched.removeAll(keepingCapacity: true)
        return prefix.sorted().compactMap { UInt32(exactly: $0) }
    }

    /// Those that share most go first; how much exactly does not matter.
    private func best(_ limit: Int) -> [Int] {
        var chosen: [Int] = []
        for threshold in [64, 32, 16, 8, 4, 2, 1] as [UInt16] {
            for page in touched where chosen.count < limit {
                guard counts[page] >= threshold, counts[page] != Self.isTaken else { continue }
                chosen.append(page)
                counts[page] = Self.isTaken
            }
        }
        return chosen
    }

    /// The high half chooses the slot, the low half is what the entry remembers.
    private func slot(of hash: UInt64) -> Int { Int(truncatingIfNeeded: hash >> 32) & (entries.count - 1) }

    private func next(_ slot: Int) -> Int { (slot &+ 1) & (entries.count - 1) }

    /// The hash of each sampled window of each page.
    @inline(__always)
    private func forEachFingerprint(of bytes: UnsafeRawBufferPointer, _ body: (UInt64) -> Void) {
        guard let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
        let windowMask = (1 << UInt64(Self.windowBytes)) - 1 as UInt64
        var start = 0
        while start < bytes.count {
            var hash: UInt64 = 0
            var offset = start
            let end = start &+ pageBytes
            let firstWhole = start &+ Self.windowBytes &- 1
            while offset < end {
                hash = (hash &<< 1) &+ gears[Int(base[offset])]
                if hash & mask == 0, offset >= firstWhole {
                    let mixed = (hash & windowMask) &* 0x9e37_79b9_7f4a_7c15
                    body(mixed ^ (mixed >> 31))
                }
                offset = offset &+ 1
            }
            start = end
        }
    }
}
