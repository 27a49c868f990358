import BackupEngine
import ObjectStores

/// How fast a store is written to and read from, as a person says it: `2M` for both, `500K:4M` for up and down, `off:1M`, `off`.
public struct TransferLimit: Codable, Equatable, Sendable {
    /// Bytes per second; nil for no limit.
    public var up: UInt64?
    public var down: UInt64?

    public static let off = TransferLimit(up: nil, down: nil)

    public init(up: UInt64?, down: UInt64?) {
        self.up = up
        self.down = down
    }

    /// Nil if the text is no limit. K, M and G are thousand, million and thousand million bytes per second.
    public init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { Self.rate(String($0)) }
        guard parts.count <= 2, let up = parts.first ?? nil, let down = parts.last ?? nil else { return nil }
        self.init(up: up.bytesPerSecond, down: down.bytesPerSecond)
    }

    private struct Rate {
        var bytesPerSecond: UInt64?
    }

    private static func rate(_ text: String) -> Rate? {
        let text = text.lowercased()
        if text == "off" { return Rate(bytesPerSecond: nil) }
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let units: [String: Double] = ["": 1, "b": 1, "k": 1e3, "kb": 1e3, "m": 1e6, "mb": 1e6, "g": 1e9, "gb": 1e9]
        guard let number = Double(digits), let unit = units[String(text.dropFirst(digits.count))],
            (1_000...1e15).contains(number * unit)
        else { return nil }
        return Rate(bytesPerSecond: UInt64(number * unit))
    }

    func applied(to store: any ObjectStore) -> any ObjectStore {
        self == .off ? store : LimitedStore(store, uploadBytesPerSecond: up, downloadBytesPerSecond: down)
    }
}

extension Device {
    /// How fast this device's backup is transferred where a command says nothing else.
    public func transferLimit() throws(CofferError) -> TransferLimit { try enabledSettings().limit ?? .off }

    /// Remembers a limit for all commands to come.
    public func setTransferLimit(_ limit: TransferLimit) throws(CofferError) {
        let lock = try folder.lock()
        defer { lock.release() }
        var settings = try enabledSettings()
        settings.limit = limit == .off ? nil : limit
        try folder.save(settings)
    }
}
