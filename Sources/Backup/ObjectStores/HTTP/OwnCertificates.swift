import Foundation
import NIOSSL

/// Certificates that this device trusts besides the system's, for a server at home with its own: a PEM file, named by `SSL_CERT_FILE` as
/// for OpenSSL's programs.
enum OwnCertificates {
    private static let file = ProcessInfo.processInfo.environment["SSL_CERT_FILE"].flatMap { $0.isEmpty ? nil : $0 }
    private static let certificates = file.flatMap { try? NIOSSLCertificate.fromPEMFile($0) }

    /// What is named, if it holds none: nobody should be asked before that is put right.
    static var unreadableFile: String? { certificates == nil ? file : nil }

    /// Nil for the usual one.
    static var tls: TLSConfiguration? {
        guard let certificates else { return nil }
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.additionalTrustRoots = [.certificates(certificates)]
        return tls
    }
}
