import CCofferSystem

/// Looks for the statement that makes the table of messages, which SQLite keeps as it was written in the pages of a database's schema
/// (sqlite.org/fileformat2.html, sections 1.6 and 2.6). The same words in a message are none.
enum SchemaSearch {
    private static let statements: [[UInt8]] = [
        Array("CREATE TABLE message(".utf8), Array("CREATE TABLE message (".utf8),
        Array("CREATE TABLE \"message\"".utf8),
    ]
    /// Many times what WhatsApp's has.
    private static let pagesMax = 4_096
    private static let (interiorTable, leafTable): (UInt8, UInt8) = (5, 13)
    private static let interiorHeaderBytes = 12

    static func hasMessages(in content: SealedFile) -> Bool {
        guard let start = content.bytes(at: 0, count: DatabaseHeader.byteCount), let header = DatabaseHeader(start)
        else { return false }
        var waiting: [UInt64] = [1]
        // A damaged database could lead around in a circle.
        var seen: Set<UInt64> = [0, 1]
        while let number = waiting.popLast() {
            let place = (number - 1) * UInt64(header.pageBytes)
            guard let page = content.bytes(at: place, count: header.pageBytes) else { continue }
            let tree = page[(number == 1 ? DatabaseHeader.byteCount : 0)...]
            if tree.first == leafTable, holdsStatement(page) { return true }
            guard tree.first == interiorTable else { continue }
            for child in children(of: tree, in: page) where seen.count < pagesMax && seen.insert(child).inserted {
                waiting.append(child)
            }
        }
        return false
    }

    private static func holdsStatement(_ page: [UInt8]) -> Bool {
        statements.contains { coffer_holds(page, page.count, $0, $0.count) != 0 }
    }

    private static func children(of tree: ArraySlice<UInt8>, in page: [UInt8]) -> [UInt64] {
        let cells = tree.dropFirst(interiorHeaderBytes)
        let count = Int(number(tree.dropFirst(3).prefix(2)))
        let pointers = (0..<count).map { Int(number(cells.dropFirst(2 * $0).prefix(2))) }
        return pointers.map { number(page.dropFirst($0).prefix(4)) } + [number(tree.dropFirst(8).prefix(4))]
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
}
