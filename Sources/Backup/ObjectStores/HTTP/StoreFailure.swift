package import BackupEngine

/// What an answer that is no success means. Each protocol has one table of its own from its statuses and codes to these kinds.
package struct StoreFailure: Error, Equatable, Sendable {
    package enum Kind: Equatable, Sendable {
        case missing
        case exists
        case rangeInvalid
        case full
        /// Nothing more is taken today: the detail says why.
        case dailyLimit
        /// Who we say we are is not known there, or the proof of it is wrong or has expired.
        case credentials
        case denied
        /// The place that holds the objects is not there, or cannot be used as it is: the detail says all of it.
        case noPlace
        /// The folder that it would lie in is not there.
        case noParent
        /// It may go well if it is tried again.
        case transient
        case notImplemented
        case permanent
    }

    package var kind: Kind
    /// The status and the code, or what happened on the line; nothing else of the answer, which may repeat what was sent.
    package var detail: String
    /// How long the other end asks to be left alone, in seconds.
    package var retryAfter: Double?
    /// It is the line that failed: nothing came from the other end, or not all of it.
    package private(set) var isOfLine = false

    package init(_ kind: Kind, _ detail: String, retryAfter: Double? = nil) {
        self.kind = kind
        self.detail = detail
        self.retryAfter = retryAfter
    }

    package init(_ error: StoreTransportError) {
        switch error {
        case .broken(let words):
            self.init(.transient, words)
            isOfLine = true
        case .untrusted:
            self.init(
                .permanent,
                "its certificate is not trusted on this device (Docs/Stores.md says how to trust a server of your own)")
        case .noCertificates(let file):
            self.init(.permanent, "the file \(file), which SSL_CERT_FILE names, holds no certificates that can be read")
        case .notSent(let words): self.init(.permanent, words)
        case .tooLong: self.init(.permanent, "its answer is longer than any should be")
        }
    }

    /// - Parameters:
    ///   - path: of the object that it was about, or empty.
    ///   - place: what holds the objects, for people: `the bucket NAME`.
    package func storeError(_ path: String, in place: String) -> ObjectStoreError {
        switch kind {
        case .missing: .notFound(path)
        case .exists: .exists(path)
        case .rangeInvalid: .truncated(path)
        case .full: .full
        case .dailyLimit: .dailyLimit(detail)
        case .credentials: .credentials(detail)
        case .denied: .denied("\(path.isEmpty ? place : path) (\(detail))")
        case .noPlace: .failed(detail)
        case .noParent, .transient, .notImplemented, .permanent: .failed(path.isEmpty ? detail : "\(path): \(detail)")
        }
    }
}

extension StoreAnswer {
    /// What it says in `Retry-After`, in seconds; a date there is measured by the answer's own.
    package var retryAfterSeconds: Double? {
        guard let text = header("retry-after") else { return nil }
        if let seconds = Double(text) { return seconds >= 0 ? seconds : nil }
        guard let until = HTTPTime(httpDate: text)?.seconds,
            let now = header("date").flatMap(HTTPTime.init(httpDate:))?.seconds
        else { return nil }
        return until > now ? Double(until - now) : 0
    }
}
