import Foundation

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// When this process started, as seen by whoever notes it first.
package enum ProcessStart {
    fileprivate static let seconds = Date().timeIntervalSince1970

    package static func note() { _ = seconds }
}

/// What the system says of this process, under the names that Prometheus' own clients use.
enum ProcessFacts {
    static func show(in metrics: VaultMetrics) {
        metrics.set(Metrics.started, to: ProcessStart.seconds)
        var usage = rusage()
        #if canImport(Glibc)
            let own = __rusage_who_t(RUSAGE_SELF.rawValue)
        #else
            let own = RUSAGE_SELF
        #endif
        if getrusage(own, &usage) == 0 {
            metrics.set(Metrics.processCPU, to: seconds(usage.ru_utime) + seconds(usage.ru_stime))
        }
        if let resident = residentBytes() { metrics.set(Metrics.processMemory, to: resident) }
        if let files = try? FileManager.default.contentsOfDirectory(atPath: "/dev/fd") {
            metrics.set(Metrics.processFiles, to: Double(files.count))
        }
        metrics.set(Metrics.processFilesMax, to: Double(OpenFiles.limit))
    }

    private static func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) * 1e-6 }

    /// Linux' own account; elsewhere it is left out.
    private static func residentBytes() -> Double? {
        guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return nil }
        let pages = text.split(separator: " ").dropFirst().first.flatMap { Double($0) }
        return pages.map { $0 * Double(sysconf(Int32(_SC_PAGESIZE))) }
    }
}

/// How many files and connections the system lets this process open.
package enum OpenFiles {
    static var limit: Int { limits().map { Int(clamping: $0.rlim_cur) } ?? 0 }

    /// Raises the limit to what is needed, as far as the system allows; returns what it is then.
    package static func raise(to needed: Int) -> Int {
        guard var limits = limits() else { return 0 }
        if limits.rlim_cur < rlim_t(needed) {
            limits.rlim_cur = min(rlim_t(needed), limits.rlim_max)
            _ = setrlimit(Self.resource, &limits)
        }
        return limit
    }

    private static func limits() -> rlimit? {
        var limits = rlimit()
        return getrlimit(resource, &limits) == 0 ? limits : nil
    }

    #if canImport(Glibc)
        private static var resource: __rlimit_resource_t { __rlimit_resource_t(RLIMIT_NOFILE.rawValue) }
    #else
        private static var resource: Int32 { RLIMIT_NOFILE }
    #endif
}
