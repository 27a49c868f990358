/// What happens when: a binary heap by time, and by order of arrival where times are equal.
struct Agenda {
    private struct Entry {
        let milliseconds: UInt64
        let order: UInt64
        let action: () -> Void

        static func < (left: Entry, right: Entry) -> Bool {
            (left.milliseconds, left.order) < (right.milliseconds, right.order)
        }
    }

    private var entries: [Entry] = []
    private var order: UInt64 = 0

    var nextMilliseconds: UInt64? { entries.first?.milliseconds }

    mutating func add(atMilliseconds time: UInt64, _ action: @escaping () -> Void) {
        entries.append(Entry(milliseconds: time, order: order, action: action))
        order += 1
        var child = entries.count - 1
        while child > 0, entries[child] < entries[(child - 1) / 2] {
            entries.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func removeFirst() -> (milliseconds: UInt64, action: () -> Void)? {
        guard let first = entries.first, let last = entries.popLast() else { return nil }
        if !entries.isEmpty {
            entries[0] = last
            sink()
        }
        return (first.milliseconds, first.action)
    }

    private mutating func sink() {
        var parent = 0
        while true {
            let smallest = [2 * parent + 1, 2 * parent + 2].reduce(parent) { best, child in
                child < entries.count && entries[child] < entries[best] ? child : best
            }
            if smallest == parent { return }
            entries.swapAt(parent, smallest)
            parent = smallest
        }
    }
}
