import TestSupport
import Testing

@testable import BackupEngine

@Suite struct `Old pages that resemble new ones` {
    private let pageBytes = 4_096

    private func matcher(_ pages: [[UInt8]]) -> PageMatcher {
        let matcher = PageMatcher(pageCount: pages.count, pageBytes: pageBytes)
        for (number, page) in pages.enumerated() { page.withUnsafeBytes { matcher.add(number, $0) } }
        return matcher
    }

    private func old(_ count: Int) -> [[UInt8]] { (0..<count).map { noise(pageBytes, seed: UInt64($0) + 1_000) } }

    @Test func `are found wherever they lie, in rising order, with those from the same places`() {
        var pages = old(200)
        pages[3] = [UInt8](repeating: 0, count: pageBytes)
        let matcher = matcher(pages)
        // Half of page 150, moved by 33 bytes, and a bit of page 20, which lie at places 3, 4 and 900 now.
        let moved = noise(33, seed: 1) + pages[150][..<2_048] + noise(2_015, seed: 2)
        let mixed = noise(3_000, seed: 3) + pages[20][500..<1_596]
        let prefix = (moved + mixed + noise(pageBytes, seed: 4)).withUnsafeBytes {
            matcher.prefix(for: [3, 4, 900], $0)
        }
        #expect(prefix == [4, 20, 150])
        // Nothing is left over from the last question.
        #expect(noise(pageBytes, seed: 5).withUnsafeBytes { matcher.prefix(for: [7], $0) } == [7])
        #expect(noise(pageBytes, seed: 5).withUnsafeBytes { matcher.prefix(for: [3], $0) } == [])
    }

    @Test func `are at most 128 besides those from the same places, and those that share most`() {
        let pages = old(300)
        let matcher = matcher(pages)
        var content: [UInt8] = []
        for page in 0..<300 { content += pages[page][..<(page < 100 ? 2_000 : 200)] }
        content = Array(content[..<(content.count / pageBytes * pageBytes)])
        let places = (0..<content.count / pageBytes).map { 1_000 + $0 }
        let prefix = content.withUnsafeBytes { matcher.prefix(for: places, $0) }
        #expect(prefix.count == 128 && Array(prefix[..<95]).allSatisfy { $0 < 100 })
        #expect(zip(prefix, prefix.dropFirst()).allSatisfy { $0 < $1 })
    }

    @Test func `of all sizes and numbers are found`() {
        for (count, bytes) in [(1, 512), (7, 512), (64, 65_536), (5_000, 512)] {
            let matcher = PageMatcher(pageCount: count, pageBytes: bytes)
            let last = noise(bytes, seed: 77)
            for page in 0..<count - 1 {
                noise(bytes, seed: UInt64(page % 50)).withUnsafeBytes { matcher.add(page, $0) }
            }
            last.withUnsafeBytes { matcher.add(count - 1, $0) }
            #expect(last.withUnsafeBytes { matcher.prefix(for: [count], $0) } == [UInt32(count - 1)])
        }
    }
}
