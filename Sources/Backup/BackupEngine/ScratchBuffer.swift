import Foundation

/// Memory that is used again and again, because new memory costs more than what is done with it: the system clears
/// every page that it hands out.
///
/// `@unchecked Sendable`: each has one user at a time, who hands it on.
final class ScratchBuffer: @unchecked Sendable {
    /// From here on the memory comes from the system itself: between small blocks it would leave holes when it is given back.
    private static let mappedBytesMin = 256 << 10

    let bytes: UnsafeMutableRawBufferPointer
    private let isMapped: Bool

    init(byteCount: Int) {
        let mapped =
            byteCount < Self.mappedBytesMin
            ? MAP_FAILED : mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        isMapped = mapped != MAP_FAILED
        bytes =
            isMapped
            ? UnsafeMutableRawBufferPointer(start: mapped, count: byteCount)
            : .allocate(byteCount: byteCount, alignment: 4_096)
    }

    deinit {
        if isMapped { munmap(bytes.baseAddress, bytes.count) } else { bytes.deallocate() }
    }
}
