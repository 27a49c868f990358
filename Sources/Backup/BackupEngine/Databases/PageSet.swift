import BackupFormat

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

/// A set of pages by number, which takes memory for what is in it alone: how many pages there are is what a store claims.
struct SparsePageSet {
    private var groups: [Int: PageSet] = [:]

    var isEmpty: Bool { groups.isEmpty }

    func contains(_ page: Int) -> Bool {
        groups[page / PageGroup.pagesMax]?.contains(page % PageGroup.pagesMax) ?? false
    }

    mutating func insert(_ page: Int) {
        groups[page / PageGroup.pagesMax, default: PageSet(count: PageGroup.pagesMax)]
            .insert(page % PageGroup.pagesMax)
    }

    /// Takes up what it does not hold, and drops what it does.
    mutating func toggle(_ other: SparsePageSet) {
        for (number, pages) in other.groups {
            groups[number, default: PageSet(count: PageGroup.pagesMax)].toggle(pages)
        }
    }
}
