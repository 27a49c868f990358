/// A set of pages by number, a bit for each page.
struct PageSet {
    private var words: [UInt64]
    let count: Int

    init(count: Int) {
        self.count = count
        words = [UInt64](repeating: 0, count: (count + 63) / 64)
    }

    func contains(_ page: Int) -> Bool { words[page >> 6] >> UInt64(page & 63) & 1 == 1 }

    mutating func insert(_ page: Int) { words[page >> 6] |= 1 << UInt64(page & 63) }

    mutating func insert(_ pages: Range<Int>) { for page in pages { insert(page) } }

    /// - Parameter other: a set of as many pages.
    mutating func toggle(_ other: PageSet) {
        for place in words.indices { words[place] ^= other.words[place] }
    }

    var isEmpty: Bool { words.allSatisfy { $0 == 0 } }

    func containsAny(of pages: Range<Int>) -> Bool { pages.contains { contains($0) } }
}
