import Foundation
package import Logging

/// Writes log lines for people or for machines, one line each, whatever is in them.
package struct VaultLogHandler: LogHandler {
    package enum Format: String, CaseIterable, Sendable { case text, json }

    package var metadata: Logger.Metadata = [:]
    package var logLevel = Logger.Level.info
    private let format: Format
    private let write: @Sendable (String) -> Void

    /// `write` is given one line with its end.
    package init(format: Format, write: @escaping @Sendable (String) -> Void) {
        self.format = format
        self.write = write
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var fields = metadata.merging(event.metadata ?? [:]) { $1 }.mapValues { "\($0)" }
        let time = Date().formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
        let message = "\(event.message)"
        switch format {
        case .json:
            fields.merge(["time": time, "level": event.level.rawValue, "message": message]) { $1 }
            let options: JSONSerialization.WritingOptions = [.sortedKeys, .withoutEscapingSlashes]
            guard let json = try? JSONSerialization.data(withJSONObject: fields, options: options) else { return }
            write(String(decoding: json, as: UTF8.self) + "\n")
        case .text:
            let pairs = fields.sorted { $0.key < $1.key }.map { " \($0.key)=\(Self.quoted($0.value))" }
            write("\(time) \(event.level.rawValue) \(Self.plain(message))\(pairs.joined())\n")
        }
    }

    private static func quoted(_ text: String) -> String {
        text.contains(where: { $0 == " " || $0 == "\"" })
            ? "\"\(plain(text).replacing("\"", with: "'"))\"" : plain(text)
    }

    /// No line begins inside a value, and no terminal is steered by one.
    private static func plain(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { $0.value < 0x20 || (0x7f..<0xa0).contains($0.value) ? "?" : $0 }))
    }
}
