import ByteCoding

/// Random, for each vault and each wrapping key: what tells its objects in the token from another vault's.
package struct TokenObjectID: FixedBytes {
    package static let byteCount = 16
    package let bytes: [UInt8]
    package init(uncheckedBytes: [UInt8]) { bytes = uncheckedBytes }
}

/// Which token opens a vault's data key, and the wrapped data key itself: one small file, so that both change in one step.
///
/// Nothing in it is secret. Whoever alters it gains nothing: another token, or another key in it, does not open the data
/// key, and the head that the vault trusts is the one in the token that did.
package struct TokenSettings: Equatable, Sendable {
    package var module: String
    package var name: TokenName
    package var id: TokenObjectID
    package var pin: PINSource
    /// For SoftHSM, which does not wait for the medium: the folder with its tokens' files.
    package var syncFolder: String?
    /// At least this long from one write of the anchor to the next: tokens wear out.
    package var anchorIntervalMilliseconds: UInt32
    package var wrapped: [UInt8]

    private static let heading = "coffer vault token, version 1"
    package static let bytesMax = 16_384

    package init(
        module: String, name: TokenName, id: TokenObjectID, pin: PINSource, syncFolder: String?,
        anchorIntervalMilliseconds: UInt32, wrapped: [UInt8] = []
    ) {
        self.module = module
        self.name = name
        self.id = id
        self.pin = pin
        self.syncFolder = syncFolder
        self.anchorIntervalMilliseconds = anchorIntervalMilliseconds
        self.wrapped = wrapped
    }

    package var text: String {
        var lines = [
            Self.heading, "module \(module)", "label \(name.label)", "serial \(name.serial)", "id \(id.hex)",
        ]
        switch pin {
        case .file(let path): lines.append("pin-file \(path)")
        case .descriptor(let descriptor): lines.append("pin-fd \(descriptor)")
        }
        if let syncFolder { lines.append("sync-folder \(syncFolder)") }
        lines.append("anchor-interval-ms \(anchorIntervalMilliseconds)")
        lines.append("data-key \(Hex.encode(wrapped))")
        return lines.map { "\($0)\n" }.joined()
    }

    /// Nil unless it is what `text` writes.
    package init?(text: String) {
        var values: [String: String] = [:]
        for line in text.split(separator: "\n").dropFirst() {
            guard let blank = line.firstIndex(of: " ") else { return nil }
            values[String(line[..<blank])] = String(line[line.index(after: blank)...])
        }
        guard let module = values["module"], let label = values["label"], let serial = values["serial"],
            let id = values["id"].flatMap({ try? TokenObjectID(hex: $0) }),
            let interval = values["anchor-interval-ms"].flatMap({ UInt32($0) }),
            let wrapped = values["data-key"].flatMap({ try? Hex.decode($0) })
        else { return nil }
        let descriptor = values["pin-fd"].flatMap { Int32($0) }
        guard let pin = values["pin-file"].map(PINSource.file) ?? descriptor.map(PINSource.descriptor) else {
            return nil
        }
        self.init(
            module: module, name: TokenName(label: label, serial: serial), id: id, pin: pin,
            syncFolder: values["sync-folder"], anchorIntervalMilliseconds: interval, wrapped: wrapped)
        guard self.text == text else { return nil }
    }
}
