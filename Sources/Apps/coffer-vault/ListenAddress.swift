import ArgumentParser

/// What `--listen` takes: host:port.
enum ListenAddress {
    static func parse(_ listen: String) throws -> (host: String, port: Int) {
        guard
            let colon = listen.lastIndex(of: ":"), let port = Int(listen[listen.index(after: colon)...]),
            (0...65_535).contains(port), colon > listen.startIndex
        else { throw ValidationError("--listen needs host:port.") }
        let host = String(listen[..<colon])
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        return (isBracketed ? String(host.dropFirst().dropLast()) : host, port)
    }
}
