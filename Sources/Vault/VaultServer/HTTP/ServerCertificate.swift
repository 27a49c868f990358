import HummingbirdCore
import HummingbirdTLS
import NIOCore
import NIOSSL
import Synchronization

/// Why a certificate is not taken. The one before stays.
package enum CertificateError: Error, Equatable {
    /// Not certificates in PEM.
    case certificate
    /// Not a private key in PEM.
    case key
    /// The key is not that of the first certificate.
    case mismatch
}

/// The certificate that the vault shows, and its key. It can be exchanged while the vault serves: connections that are
/// open go on under the one that they began with.
package final class ServerCertificate: Sendable {
    private struct Loaded: Sendable {
        let chain: [NIOSSLCertificate]
        let key: NIOSSLPrivateKey

        var override: NIOSSLContextConfigurationOverride {
            var override = NIOSSLContextConfigurationOverride()
            override.certificateChain = chain.map { .certificate($0) }
            override.privateKey = .privateKey(key)
            return override
        }

        var configuration: TLSConfiguration {
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
            configuration.minimumTLSVersion = .tlsv13
            configuration.applicationProtocols = ["http/1.1"]
            // A client that is sent away and does not say goodbye holds its place among the descriptors this long.
            configuration.shutdownTimeout = .milliseconds(200)
            return configuration
        }
    }

    private let loaded: Mutex<Loaded>

    /// Both in PEM; the server's own certificate comes first.
    package init(chain: [UInt8], key: [UInt8]) throws(CertificateError) {
        loaded = Mutex(try Self.load(chain, key))
    }

    package func replace(chain: [UInt8], key: [UInt8]) throws(CertificateError) {
        let next = try Self.load(chain, key)
        loaded.withLock { $0 = next }
    }

    /// When the server's own certificate ends, in seconds since 1970.
    package var expirySeconds: Int64 { loaded.withLock { $0.chain.first.map { Int64($0.notValidAfter) } ?? 0 } }

    private static func load(_ chain: [UInt8], _ key: [UInt8]) throws(CertificateError) -> Loaded {
        let certificates: [NIOSSLCertificate]
        do { certificates = try NIOSSLCertificate.fromPEMBytes(chain) } catch { throw .certificate }
        guard !certificates.isEmpty else { throw .certificate }
        let privateKey: NIOSSLPrivateKey
        do { privateKey = try NIOSSLPrivateKey(bytes: key, format: .pem) } catch { throw .key }
        let loaded = Loaded(chain: certificates, key: privateKey)
        // BoringSSL compares the two when it makes a context.
        do { _ = try NIOSSLContext(configuration: loaded.configuration) } catch { throw .mismatch }
        return loaded
    }

    /// HTTP/1.1 over TLS 1.3, under the certificate that is present when a connection begins.
    func server(_ base: HTTPServerBuilder) throws -> HTTPServerBuilder {
        var configuration = loaded.withLock { $0.configuration }
        configuration.sslContextCallback = { [self] _, promise in
            promise.succeed(loaded.withLock { $0.override })
        }
        return try .tls(base, tlsConfiguration: configuration)
    }
}
