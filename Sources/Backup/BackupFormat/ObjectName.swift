import ByteCoding

/// A snapshot's place in the store's order, and its id (section 9).
package struct SnapshotName: Hashable, Sendable, Comparable {
    /// The largest number that 8 digits write.
    package static let numberMax: UInt32 = 99_999_999

    package var number: UInt32
    package var id: ObjectID

    package init(number: UInt32, id: ObjectID) {
        self.number = number
        self.id = id
    }

    /// By number; two devices may have written the same number, then by id.
    package static func < (left: SnapshotName, right: SnapshotName) -> Bool {
        left.number == right.number
            ? left.id.bytes.lexicographicallyPrecedes(right.id.bytes) : left.number < right.number
    }
}

/// The name of an object in a store.
package enum ObjectName: Hashable, Sendable {
    case header
    case keyring(number: UInt32, copy: KeyringCopy)
    case pack(ObjectID)
    case index(ObjectID)
    case snapshot(SnapshotName)
    case removal(ObjectID)

    package enum KeyringCopy: String, Sendable, CaseIterable {
        case a
        case b
    }

    /// The folders whose contents a reader lists.
    package enum Folder: String, Sendable, CaseIterable {
        case keyring
        case packs
        case index
        case snapshots
        case removals
    }

    /// The name as the store knows it, with `/` between folders.
    package var path: String {
        switch self {
        case .header: "coffer.json"
        case .keyring(let number, let copy): "keyring/\(eightDigits(number))-\(copy.rawValue)"
        case .pack(let id): "packs/\(id.hex.prefix(2))/\(id.hex)"
        case .index(let id): "index/\(id.hex)"
        case .snapshot(let name): "snapshots/\(eightDigits(name.number))-\(name.id.hex)"
        case .removal(let id): "removals/\(id.hex)"
        }
    }

    /// Reads a name; nil for anything that this format does not have, which a reader leaves alone.
    package init?(path: some StringProtocol) {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        switch (parts.first.map { String($0) }, parts.count) {
        case ("coffer.json", 1): self = .header
        case ("keyring", 2):
            let fields = parts[1].split(separator: "-", omittingEmptySubsequences: false)
            guard fields.count == 2, let number = number(eightDigits: fields[0]),
                let copy = KeyringCopy(rawValue: String(fields[1]))
            else { return nil }
            self = .keyring(number: number, copy: copy)
        case ("packs", 3):
            guard let id = try? ObjectID(hex: parts[2]), parts[2].hasPrefix(parts[1]), parts[1].count == 2
            else { return nil }
            self = .pack(id)
        case ("index", 2):
            guard let id = try? ObjectID(hex: parts[1]) else { return nil }
            self = .index(id)
        case ("snapshots", 2):
            let fields = parts[1].split(separator: "-", omittingEmptySubsequences: false)
            guard fields.count == 2, let number = number(eightDigits: fields[0]),
                let id = try? ObjectID(hex: fields[1])
            else { return nil }
            self = .snapshot(SnapshotName(number: number, id: id))
        case ("removals", 2):
            guard let id = try? ObjectID(hex: parts[1]) else { return nil }
            self = .removal(id)
        default: return nil
        }
        // One name for one object: upper-case digits and the like are somebody else's files.
        guard self.path == path else { return nil }
    }
}

private func eightDigits(_ number: UInt32) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, 8 - digits.count)) + digits
}

private func number(eightDigits text: some StringProtocol) -> UInt32? {
    text.count == 8 && text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? UInt32(text) : nil
}
