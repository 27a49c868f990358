/// The names in a folder, in one piece of memory: a folder of a million files would need ten times as much for as many arrays.
struct NameList: RandomAccessCollection {
    private var bytes: [UInt8] = []
    /// Where each name begins; it ends before a zero byte.
    private var starts: [Int] = []

    var startIndex: Int { 0 }
    var endIndex: Int { starts.count }

    subscript(position: Int) -> [UInt8] { Array(bytes[starts[position]...].prefix { $0 != 0 }) }

    /// - Parameter name: without a zero byte.
    mutating func append(_ name: [UInt8]) {
        starts.append(bytes.count)
        bytes += name
        bytes.append(0)
    }

    /// By their bytes.
    mutating func sort() {
        bytes.withUnsafeBufferPointer { bytes in
            starts.sort { Self.order(bytes, $0, $1) < 0 }
        }
    }

    /// Whether a name is there; they must be sorted.
    func contains(_ name: [UInt8]) -> Bool {
        var low = 0
        var high = starts.count
        while low < high {
            let middle = (low + high) / 2
            if self[middle].lexicographicallyPrecedes(name) { low = middle + 1 } else { high = middle }
        }
        return low < starts.count && self[low] == name
    }

    /// Each name ends in a zero byte, which comes before any other.
    private static func order(_ bytes: UnsafeBufferPointer<UInt8>, _ left: Int, _ right: Int) -> Int {
        var offset = 0
        while bytes[left + offset] == bytes[right + offset], bytes[left + offset] != 0 { offset += 1 }
        return Int(bytes[left + offset]) - Int(bytes[right + offset])
    }
}
