package import ByteCoding
package import Primitives

/// Why a fleet file is not a fleet.
package enum FleetError: Error, Equatable {
    /// n is not odd, not 1…15, or t is not (n+1)/2.
    case sizeAndThreshold(version: UInt32)
    /// An index or an identity key stands twice, or an index is 0.
    case repeatedVault(index: UInt8)
    /// A generation names an index that no vault has.
    case unknownVault(index: UInt8)
    /// Generations are not in rising order of version, or versions begin below 1.
    case versionsOutOfOrder
    /// The promised total gives a vault no attempt at all, or more than 64.
    case promisedTotal
    /// A vault has no URL, more than 4, or one that is too long, not http or https, or not plain printable ASCII.
    case urls(index: UInt8)
    /// Too many vaults or generations.
    case tooLarge
}

/// A fleet: n vaults with a threshold t, their identity keys, and every generation it ever had.
///
/// t and n always come from here, never from a reply: else one vault answers t = 1 and plants a key.
package struct Fleet: Sendable, Equatable {
    /// One vault. An index is never used again, so a vault that left stays listed.
    package struct Vault: Sendable, Equatable {
        /// Shamir's x coordinate, 1…255.
        package let index: UInt8
        package let identityKey: VerifyingKey
        package let urls: [String]

        package init(index: UInt8, identityKey: VerifyingKey, urls: [String]) {
            self.index = index
            self.identityKey = identityKey
            self.urls = urls
        }

        package var id: VaultID { VaultID(identityKey: identityKey) }
    }

    /// Which vaults served under one version of the fleet file. Registrations name the version they were made under.
    package struct Generation: Sendable, Equatable {
        package let version: UInt32
        package let threshold: UInt8
        /// Ascending.
        package let indices: [UInt8]

        package init(version: UInt32, threshold: UInt8, indices: [UInt8]) {
            self.version = version
            self.threshold = threshold
            self.indices = indices
        }

        package var count: Int { indices.count }
    }

    package let id: FleetID
    /// G: the attempts that the fleet promises a person in all.
    package let promisedTotal: UInt8
    /// Ascending by index; with the retired ones.
    package let vaults: [Vault]
    /// Ascending by version; the last one is the present one.
    package let generations: [Generation]
    package let current: Generation

    package init(
        id: FleetID, promisedTotal: UInt8, vaults: [Vault], generations: [Generation]
    ) throws(FleetError) {
        guard let current = generations.last else { throw .versionsOutOfOrder }
        self.id = id
        self.promisedTotal = promisedTotal
        self.vaults = vaults.sorted { $0.index < $1.index }
        self.generations = generations
        self.current = current
        try checkVaults()
        try checkGenerations()
        guard (1...Limits.receiptsMax).contains(attemptsPerVault) else { throw .promisedTotal }
    }

    package var version: UInt32 { current.version }
    package var threshold: Int { Int(current.threshold) }

    /// The vaults of the present generation, ascending by index.
    package var currentVaults: [Vault] { vaults.filter { current.indices.contains($0.index) } }

    package func isRetired(_ vault: Vault) -> Bool { !current.indices.contains(vault.index) }

    package func vault(index: UInt8) -> Vault? { vaults.first { $0.index == index } }
    package func vault(id: VaultID) -> Vault? { vaults.first { $0.id == id } }
    package func generation(version: UInt32) -> Generation? { generations.first { $0.version == version } }

    private func checkVaults() throws(FleetError) {
        guard vaults.count <= Limits.vaultsEverMax else { throw .tooLarge }
        for (position, vault) in vaults.enumerated() {
            let earlier = vaults[..<position]
            let isRepeated = earlier.contains { $0.index == vault.index || $0.identityKey == vault.identityKey }
            guard vault.index > 0, !isRepeated else { throw .repeatedVault(index: vault.index) }
            guard (1...Limits.urlsPerVaultMax).contains(vault.urls.count),
                vault.urls.allSatisfy(Self.isPlainURL)
            else { throw .urls(index: vault.index) }
        }
    }

    /// Without characters that would need quoting in a fleet file.
    package static func isPlainURL(_ url: String) -> Bool {
        Limits.urlBytes.contains(url.utf8.count) && (url.hasPrefix("https://") || url.hasPrefix("http://"))
            && url.utf8.allSatisfy {
                (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
            }
    }

    private func checkGenerations() throws(FleetError) {
        guard generations.count <= Limits.earlierGenerationsMax + 1 else { throw .tooLarge }
        var last: UInt32 = 0
        for generation in generations {
            guard generation.version > last else { throw .versionsOutOfOrder }
            last = generation.version
            // With n odd and t = (n+1)/2, t−1 liars can neither learn, plant nor block anything.
            let count = generation.count
            guard count <= Limits.vaultsMax, count % 2 == 1, Int(generation.threshold) == (count + 1) / 2 else {
                throw .sizeAndThreshold(version: generation.version)
            }
            var lowest: UInt8 = 0
            for index in generation.indices {
                guard index > lowest else { throw .repeatedVault(index: index) }
                guard vault(index: index) != nil else { throw .unknownVault(index: index) }
                lowest = index
            }
        }
    }
}

extension Fleet: ByteCodable {
    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        let id = try FleetID(from: &reader)
        let promisedTotal = try reader.uint8()
        let vaults = try reader.list(0...0xff_ffff) { reader throws(ByteCodingError) in
            try Vault(from: &reader)
        }
        let generations = try reader.list(0...0xffff) { reader throws(ByteCodingError) in
            try Generation(from: &reader)
        }
        guard vaults.map(\.index) == vaults.map(\.index).sorted() else { throw .invalidValue }
        do {
            self = try Fleet(id: id, promisedTotal: promisedTotal, vaults: vaults, generations: generations)
        } catch { throw .invalidValue }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try id.encode(into: &writer)
        writer.uint8(promisedTotal)
        try writer.list(vaults, 0...0xff_ffff)
        try writer.list(generations, 0...0xffff)
    }
}

extension Fleet.Vault: ByteCodable {
    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        index = try reader.uint8()
        identityKey = try VerifyingKey(from: &reader)
        urls = try reader.list(0...0xffff) { reader throws(ByteCodingError) in try reader.text(Limits.urlBytes) }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint8(index)
        try identityKey.encode(into: &writer)
        try writer.list(urls, 0...0xffff) { url, writer throws(ByteCodingError) in
            try writer.text(url, Limits.urlBytes)
        }
    }
}

extension Fleet.Generation: ByteCodable {
    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        version = try reader.uint32()
        threshold = try reader.uint8()
        indices = try reader.vector(1...Limits.vaultsMax)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint32(version)
        writer.uint8(threshold)
        try writer.vector(indices, 1...Limits.vaultsMax)
    }
}
