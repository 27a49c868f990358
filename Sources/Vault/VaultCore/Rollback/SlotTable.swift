import ByteCoding

/// The keys of all slots, and the slot of a key: a table of slots, open at the next free place.
///
/// Keys are keyed hashes, so their first bytes are where to look. Nobody outside can choose them.
struct SlotTable: Sendable {
    private static let free = UInt32.max
    /// Of the places, in sixteenths: above it a search is long, and the table is made anew.
    private static let fullSixteenths = 13

    private var keys: [UInt8] = []
    private var places: [UInt32] = []

    var count: Int { keys.count / RecordKey.byteCount }

    func key(_ slot: Int) -> RecordKey {
        let start = slot * RecordKey.byteCount
        return RecordKey(uncheckedBytes: Array(keys[start..<start + RecordKey.byteCount]))
    }

    func slot(of key: RecordKey) -> Int? {
        key.bytes.withUnsafeBytes { bytes in
            keys.withUnsafeBytes { keys in
                places.withUnsafeBufferPointer { places in
                    guard !places.isEmpty else { return nil }
                    let slot = places[Self.place(of: bytes, keys, places)]
                    return slot == Self.free ? nil : Int(slot)
                }
            }
        }
    }

    /// A key that is not there yet, in the next slot.
    mutating func append(_ key: RecordKey) {
        key.bytes.withUnsafeBytes { appendUnindexed($0) }
        if count * 16 > places.count * Self.fullSixteenths {
            // There are no two alike, for each was looked up before.
            _ = indexAll()
        } else {
            _ = index(count - 1)
        }
    }

    /// To be followed by `indexAll`.
    mutating func appendUnindexed(_ key: UnsafeRawBufferPointer) {
        precondition(key.count == RecordKey.byteCount, "a record's key has 32 bytes")
        keys.append(contentsOf: key)
    }

    /// Makes the table anew, with room for more than half as many again. The first slot whose key another one has, if there is one.
    mutating func indexAll() -> Int? {
        precondition(count < Self.free, "more records than a table of slots can name")
        places = []
        places = Array(repeating: Self.free, count: count * 2 + 8)
        for slot in 0..<count where !index(slot) { return slot }
        return nil
    }

    private mutating func index(_ slot: Int) -> Bool {
        keys.withUnsafeBytes { keys in
            places.withUnsafeMutableBufferPointer { places in
                let start = slot * RecordKey.byteCount
                let key = UnsafeRawBufferPointer(rebasing: keys[start..<start + RecordKey.byteCount])
                let place = Self.place(of: key, keys, UnsafeBufferPointer(places))
                guard places[place] == Self.free else { return false }
                places[place] = UInt32(slot)
                return true
            }
        }
    }

    /// Where the key is, or the free place where it would be. There is always a free one.
    private static func place(
        of key: UnsafeRawBufferPointer, _ keys: UnsafeRawBufferPointer, _ places: UnsafeBufferPointer<UInt32>
    ) -> Int {
        let prefix = key.loadUnaligned(as: UInt64.self)
        var place = Int(prefix.multipliedFullWidth(by: UInt64(places.count)).high)
        while places[place] != free {
            let start = Int(places[place]) * RecordKey.byteCount
            let other = UnsafeRawBufferPointer(rebasing: keys[start..<start + RecordKey.byteCount])
            if other.loadUnaligned(as: UInt64.self) == prefix, other.elementsEqual(key) { return place }
            place = place + 1 == places.count ? 0 : place + 1
        }
        return place
    }
}

/// When each slot must be looked at.
struct DueTimes: Sendable {
    private static let never = UInt64.max
    private static let pageSlots = 4096

    private var seconds: [UInt64] = []
    /// For each page of slots, a time before which none of them is due: most pages are never looked at.
    private var earliest: [UInt64] = []

    /// At a known slot, or at the next.
    mutating func put(_ due: UInt64?, at slot: Int) {
        let due = due ?? Self.never
        if slot == seconds.count { seconds.append(due) } else { seconds[slot] = due }
        let page = slot / Self.pageSlots
        if page == earliest.count { earliest.append(due) } else { earliest[page] = min(earliest[page], due) }
    }

    /// Those whose time has come, the most overdue first.
    mutating func slots(atSeconds now: UInt64) -> [Int] {
        var found: [(due: UInt64, slot: Int)] = []
        for page in earliest.indices where earliest[page] <= now && earliest[page] != Self.never {
            var first = Self.never
            for slot in page * Self.pageSlots..<min((page + 1) * Self.pageSlots, seconds.count) {
                let due = seconds[slot]
                first = min(first, due)
                if due <= now, due != Self.never { found.append((due, slot)) }
            }
            earliest[page] = first
        }
        found.sort { ($0.due, $0.slot) < ($1.due, $1.slot) }
        return found.map(\.slot)
    }
}
