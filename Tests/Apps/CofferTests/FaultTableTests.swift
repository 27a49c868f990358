import Foundation
import Testing

@Suite struct `The table of faults` {
    @Test func `names tests that there are`() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..")
        let text = try String(contentsOf: root.appending(path: "Docs/Testing.md"), encoding: .utf8)
        let table = try #require(
            text.components(separatedBy: "<!-- faults: begin -->").last?
                .components(separatedBy: "<!-- faults: end -->").first)
        let rows = table.split(separator: "\n").filter { $0.hasPrefix("|") }.dropFirst(2)
        #expect(rows.count > 20)
        let tests = try Self.tests(below: root.appending(path: "Tests"))
        #expect(tests.count > 500)
        for row in rows {
            let named = row.split(separator: "`", omittingEmptySubsequences: false).enumerated()
                .filter { !$0.offset.isMultiple(of: 2) }.map { String($0.element) }
            #expect(!named.isEmpty, "\(row)")
            for name in named { #expect(tests.contains(name), "no test is called: \(name)") }
        }
    }

    /// The names of all tests, Swift's and Python's.
    private static func tests(below folder: URL) throws -> Set<String> {
        var names: Set<String> = []
        let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
        while let file = files?.nextObject() as? URL {
            guard ["swift", "py"].contains(file.pathExtension) else { continue }
            for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
                let line = line.trimmingCharacters(in: .whitespaces)
                if line.hasPrefix("def test_") {
                    names.insert(String(line.dropFirst(4).prefix { $0 != "(" }))
                } else if let start = line.range(of: "func `") {
                    names.insert(String(line[start.upperBound...].prefix { $0 != "`" }))
                }
            }
        }
        return names
    }
}
