/// The last bytes of a stream whose end nobody knows yet: so many are held back, and all before them is handed on.
struct HeldBack {
    private(set) var bytes: [UInt8] = []
    private let bytesMax: Int

    init(_ bytesMax: Int) { self.bytesMax = bytesMax }

    mutating func feed<Failure: Error>(
        _ new: UnsafeRawBufferPointer, _ handOn: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        let due = bytes.count + new.count - bytesMax
        guard due > 0 else {
            bytes += new
            return
        }
        let held = Array(bytes.prefix(due))
        try held.lend(handOn)
        bytes.removeFirst(held.count)
        let dueOfNew = due - held.count
        try handOn(UnsafeRawBufferPointer(rebasing: new[..<dueOfNew]))
        bytes += new[dueOfNew...]
    }
}
