/// Where objects lie in iCloud: `icloud:CONTAINER/ZONE[?environment=development]`, without anything secret. A zone holds one store,
/// in the private database that a person has in the container.
package struct CloudKitAddress: Equatable, Sendable {
    package enum Environment: String, Sendable {
        case development
        case production
    }

    package enum Malformed: Error, Equatable, Sendable {
        case notAnAddress
        case noContainer
        case badContainer
        case badZone
        case unknownOption(String)
    }

    package static let scheme = "icloud:"
    /// Behind the name of a zone beside a backup in which the store is tried out, as the same person.
    package static let testSuffix = ".coffer-store-test"
    private static let nameBytesMax = 150

    /// `iCloud.org.example.coffer`
    package let container: String
    package let zone: String
    package let environment: Environment

    package init(_ text: String) throws(Malformed) {
        guard text.hasPrefix(Self.scheme) else { throw .notAnAddress }
        let halves = text.dropFirst(Self.scheme.count).split(
            separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let parts = (halves.first ?? "").split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard let container = parts.first, !container.isEmpty else { throw .noContainer }
        guard container.hasPrefix("iCloud."), container.count > "iCloud.".count, Self.isName(container)
        else { throw .badContainer }
        guard parts.count == 2, Self.isName(parts[1]), !parts[1].hasPrefix("_"), parts[1] != ".", parts[1] != ".."
        else { throw .badZone }
        self.container = container
        zone = parts[1]
        do {
            environment = try AddressOption.value(
                of: "environment", in: halves.count > 1 ? halves[1] : "", usual: Environment.production)
        } catch {
            throw .unknownOption(error.name)
        }
    }

    /// One text for one place.
    package var text: String { "\(Self.scheme)\(container)/\(zone)\(options)" }

    /// What a sign-in belongs to: a person in a container, whatever the zone.
    package var account: String { "\(Self.scheme)\(container)\(options)" }

    private var options: String { environment == .production ? "" : "?environment=\(environment.rawValue)" }

    private static func isName(_ name: String) -> Bool {
        (1...nameBytesMax).contains(name.utf8.count)
            && name.utf8.allSatisfy { PercentEncoding.isUnreserved($0) && $0 != UInt8(ascii: "~") }
    }
}

/// Where CloudKit's web services answer; for tests, on this machine.
package struct CloudKitEndpoint: Equatable, Sendable {
    package enum Malformed: Error, Equatable, Sendable {
        /// Whoever sets the place elsewhere would get what a person signs in with.
        case notThisMachine
    }

    package static let apple = CloudKitEndpoint(api: "https://api.apple-cloudkit.com")
    private static let domains = ["apple.com", "icloud.com", "apple-cloudkit.com", "icloud-content.com"]

    package let api: String

    private init(api: String) { self.api = api }

    /// - Parameter text: `http://127.0.0.1:PORT`.
    package init(onThisMachine text: String) throws(Malformed) {
        guard StoreURL.isPortOfThisMachine(text) else { throw .notThisMachine }
        api = text
    }

    /// Whether a URL that an answer named may be used: a person types a password there, or sealed bytes go there.
    func isOwn(_ url: String) -> Bool {
        guard url.utf8.allSatisfy({ (0x21...0x7e).contains($0) }), let parsed = try? StoreURL(url) else { return false }
        guard self == .apple else { return url.hasPrefix("http://127.0.0.1:") }
        return parsed.transport == "https"
            && Self.domains.contains { parsed.host == $0 || parsed.host.hasSuffix(".\($0)") }
    }
}
