import Synchronization

/// What a person should learn although no command was asked for it: a program shows it when its command has ended, well or not.
public enum Warnings {
    private static let words = Mutex<[String: String]>([:])

    /// - Parameter source: what it is about; the later word takes the place of the earlier.
    static func set(_ source: String, _ text: String?) { words.withLock { $0[source] = text } }

    /// A sentence or two each, once.
    public static func take() -> [String] {
        words.withLock { words in
            defer { words = [:] }
            return words.sorted { $0.key < $1.key }.map(\.value)
        }
    }
}
