/// How much is in WhatsApp's message database.
package struct MessageCount: Equatable, Sendable {
    /// Nil where there is no such table.
    package let chats: Int?
    package let messages: Int?

    /// Where a database says how it is written: two bytes that ask for a write-ahead log.
    private static let journalModePlace: UInt64 = 18

    /// Counts in a database that nobody else uses; nil if it is none, or would take longer than one of its size can.
    ///
    /// Whoever made the backup wrote the database: it is read without trusting its schema, and tables alone are counted.
    /// - Parameter file: a whole database without a name, which it gets at no time; the bytes that ask for a log are changed.
    package static func of(_ file: PendingFile, bytes: UInt64) -> MessageCount? {
        guard file.replace([1, 1], at: journalModePlace), let database = UntrustedDatabase(file, bytes: bytes) else {
            return nil
        }
        do {
            return MessageCount(
                chats: try count(ofFirst: chatTables, database), messages: try count(ofFirst: messageTables, database))
        } catch {
            return nil
        }
    }

    /// A table, newest name first; the column whose value -1 or 1 marks a row that stands for nothing; and the condition that leaves
    /// such rows out.
    private static let chatTables = [("chat", "hidden", "hidden IS NOT 1"), ("chat_list", "key_remote_jid", "1")]
    private static let messageTables = [
        ("message", "chat_row_id", "chat_row_id IS NOT -1"),
        ("messages", "key_remote_jid", "key_remote_jid IS NOT '-1'"),
    ]

    private static func count(
        ofFirst tables: [(name: String, column: String, condition: String)], _ database: UntrustedDatabase
    ) throws(UntrustedDatabase.Failure) -> Int? {
        for table in tables {
            // A view or a virtual table of that name would run what a stranger wrote.
            let isTable =
                "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = '\(table.name)' AND rootpage > 0 "
                + "AND sql LIKE 'CREATE TABLE %'"
            guard try database.number(isTable) == 1 else { continue }
            let column = "SELECT count(*) FROM pragma_table_info('\(table.name)') WHERE name = '\(table.column)'"
            let condition = try database.number(column) == 1 ? table.condition : "1"
            // Summed, since SQLite counts rows in a single step, which no limit of steps ends.
            return try database.number("SELECT coalesce(sum(\(condition)), 0) FROM \(table.name)")
        }
        return nil
    }
}
