import ByteCoding
import Foundation
package import Primitives
import Synchronization

/// Who somebody is at a WebDAV server.
package struct WebDAVCredentials: Sendable {
    package let user: String
    package let password: SecretBytes

    package init(user: String, password: SecretBytes) {
        self.user = user
        self.password = password
    }
}

/// Proves it: by the password itself (RFC 7617), which goes with every request, or, once the server asks for that, by hashes of it
/// and of the server's nonce (RFC 7616).
final class WebDAVAuthorization: Sendable {
    private struct State {
        var challenge: DigestChallenge?
        /// How often the nonce was used.
        var count: UInt32 = 0
    }

    private let credentials: WebDAVCredentials
    private let state = Mutex(State())

    init(_ credentials: WebDAVCredentials) { self.credentials = credentials }

    /// The header of a request.
    ///
    /// - Parameter path: as it is sent, with the query.
    func header(method: String, path: String) -> String {
        let (challenge, count) = state.withLock { state in
            state.count &+= 1
            return (state.challenge, state.count)
        }
        guard let challenge else { return basic() }
        var generator = SystemRandomNumberGenerator()
        return challenge.header(
            credentials, method: method, path: path, count: count, clientNonce: Hex.encode(generator.bytes(16)))
    }

    /// What a refusal asks for, if that is something new which can be given.
    ///
    /// - Parameter sent: the header that was refused.
    func challenge(in answer: StoreAnswer, sent: String?) -> DigestChallenge? {
        let offers = answer.headers.filter { $0.name.lowercased() == "www-authenticate" }
            .compactMap { DigestChallenge($0.value) }
        guard let best = offers.first(where: { $0.algorithm == .sha256 }) ?? offers.first else { return nil }
        // The same nonce once more: it is the password that is wrong.
        guard sent?.contains("nonce=\"\(best.nonce)\"") != true else { return nil }
        return best
    }

    func take(_ challenge: DigestChallenge) {
        state.withLock { if $0.challenge != challenge { $0 = State(challenge: challenge) } }
    }

    private func basic() -> String {
        var pair = Array(credentials.user.utf8) + [UInt8(ascii: ":")] + credentials.password.withBytes { Array($0) }
        defer { pair.wipe() }
        return "Basic \(Data(pair).base64EncodedString())"
    }
}

/// A server's wish for hashes (RFC 7616, section 3.3).
struct DigestChallenge: Equatable, Sendable {
    enum Algorithm: String {
        case md5 = "MD5"
        case sha256 = "SHA-256"
    }

    let realm: String
    let nonce: String
    let opaque: String?
    let algorithm: Algorithm
    /// The request is counted, and the client adds a nonce of its own; servers of 1997 know nothing of it.
    let hasCount: Bool
    /// It is asked for anew only because the nonce before has grown old.
    let isStale: Bool

    /// Nil if it is none, or asks for what is not known here.
    init?(_ header: String) {
        guard header.lowercased().hasPrefix("digest ") else { return nil }
        let fields = Self.fields(header.dropFirst("digest ".count))
        guard let realm = fields["realm"], let nonce = fields["nonce"], !nonce.isEmpty else { return nil }
        let named = fields["algorithm"]?.uppercased()
        guard let algorithm = named == nil ? .md5 : named.flatMap(Algorithm.init) else { return nil }
        let qualities = fields["qop"].map { $0.split(separator: ",").map { $0.filter { $0 != " " } } }
        guard qualities?.contains("auth") != false else { return nil }
        self.realm = realm
        self.nonce = nonce
        self.opaque = fields["opaque"]
        self.algorithm = algorithm
        hasCount = qualities != nil
        isStale = fields["stale"]?.lowercased() == "true"
    }

    /// `realm="a, \"b\"", algorithm=MD5`
    private static func fields(_ text: Substring) -> [String: String] {
        var fields: [String: String] = [:]
        var rest = text
        while !rest.isEmpty {
            rest = rest.drop { $0 == " " || $0 == "," || $0 == "\t" }
            guard let equals = rest.firstIndex(of: "=") else { break }
            let name = rest[..<equals].lowercased()
            rest = rest[rest.index(after: equals)...]
            var value = ""
            if rest.first == "\"" {
                rest.removeFirst()
                while let character = rest.popFirst(), character != "\"" {
                    value.append(character == "\\" ? rest.popFirst() ?? character : character)
                }
            } else {
                while let character = rest.first, character != "," { value.append(rest.removeFirst()) }
            }
            // The first word counts: another challenge may follow in the same line.
            if fields[name] == nil { fields[name] = value }
        }
        return fields
    }

    func header(
        _ credentials: WebDAVCredentials, method: String, path: String, count: UInt32, clientNonce: String
    ) -> String {
        var secret = Array("\(credentials.user):\(realm):".utf8) + credentials.password.withBytes { Array($0) }
        defer { secret.wipe() }
        let number = String(count, radix: 16)
        let digits = String(repeating: "0", count: 8 - number.count) + number
        let counted = hasCount ? "\(digits):\(clientNonce):auth:" : ""
        let response = hash(
            Array("\(hash(secret)):\(nonce):\(counted)\(hash(Array("\(method):\(path)".utf8)))".utf8))
        var fields = [
            "username=\(Self.quoted(credentials.user))", "realm=\(Self.quoted(realm))", "nonce=\(Self.quoted(nonce))",
            "uri=\"\(path)\"", "algorithm=\(algorithm.rawValue)", "response=\"\(response)\"",
        ]
        if hasCount { fields += ["qop=auth", "nc=\(digits)", "cnonce=\"\(clientNonce)\""] }
        if let opaque { fields.append("opaque=\(Self.quoted(opaque))") }
        return "Digest " + fields.joined(separator: ", ")
    }

    private static func quoted(_ text: String) -> String {
        "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }

    private func hash(_ bytes: [UInt8]) -> String {
        switch algorithm {
        case .sha256: return Hex.encode(sha256(bytes))
        case .md5:
            var md5 = MD5()
            md5.update(bytes)
            return Hex.encode(md5.digest())
        }
    }
}
