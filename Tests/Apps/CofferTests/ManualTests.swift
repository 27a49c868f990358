import Coffer
import Foundation
import Testing

@Suite struct `The manual` {
    @Test func `lists the exit status and the name of every error, and no others`() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..")
        let manual = try String(contentsOf: root.appending(path: "Docs/Manual.md"), encoding: .utf8)
        var listed: [String: Int32] = [:]
        for line in manual.split(separator: "\n") {
            let columns = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            guard columns.count == 2, let status = Int32(columns[0]) else { continue }
            for name in columns[1].split(separator: ", ") {
                listed[name.trimmingCharacters(in: ["`"])] = status
            }
        }
        let actual = Dictionary(
            uniqueKeysWithValues: CofferError.Code.allCases.map { ($0.rawValue, $0.exitStatus) })
        #expect(listed == actual)
    }
}
