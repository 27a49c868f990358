/// Asks on the side whether rclone is still there, for as long as an answer is waited for: a remote may take an hour for one, and an
/// rclone that hangs, or was stopped, would be waited for as long.
struct AttendedTransport: StoreTransport {
    /// How often it is asked, and by what.
    struct Watch: Sendable {
        var every = Duration.seconds(60)
        var probe: any StoreTransport = HTTPStoreTransport(stall: .seconds(30))
    }

    private static let silencesMax = 2

    let transport: any StoreTransport
    let watch: Watch
    /// Told the URL of the rclone that does not answer any more.
    let isSilent: @Sendable (String) async -> Void

    func send(_ request: StoreRequest) async throws(StoreTransportError) -> StoreAnswer {
        try await withTaskGroup(of: Result<StoreAnswer, StoreTransportError>?.self) { group in
            group.addTask {
                do throws(StoreTransportError) { return .success(try await transport.send(request)) } catch {
                    return .failure(error)
                }
            }
            group.addTask { await silence(during: request) }
            for await result in group {
                guard let result else { continue }
                group.cancelAll()
                return result
            }
            return Result<StoreAnswer, StoreTransportError>.failure(.broken("it was stopped"))
        }.get()
    }

    /// Nil if it ends for another reason than silence.
    private func silence(during request: StoreRequest) async -> Result<StoreAnswer, StoreTransportError>? {
        let server = Self.server(request.url)
        let question = StoreRequest(
            method: "POST", url: "\(server)/rc/noop", headers: request.headers.filter { $0.name != "range" },
            answerBytesMax: 1 << 16)
        var silences = 0
        while silences < Self.silencesMax {
            // The wait is how often it is asked.
            guard (try? await Task.sleep(for: watch.every)) != nil else { return nil }
            let isAnswered = (try? await watch.probe.send(question)) != nil
            guard !Task.isCancelled else { return nil }
            silences = isAnswered ? 0 : silences + 1
        }
        await isSilent(server)
        return .failure(.broken("rclone does not answer any more"))
    }

    /// Up to the first slash behind the host.
    private static func server(_ url: String) -> String {
        guard let mark = url.firstRange(of: "://") else { return url }
        return String(url[..<mark.upperBound]) + url[mark.upperBound...].prefix { $0 != "/" }
    }
}
