import BackupEngine
import BackupFormat
import Synchronization

/// A store in memory, for tests; also the simplest reading of the contract.
final class MemoryStore: ObjectStore {
    private let objects: Mutex<[ObjectName: [UInt8]]>
    private let capacity: Int?
    let place = "memory"

    /// - Parameter capacity: how many bytes it takes in all; nil for any number.
    init(_ objects: [ObjectName: [UInt8]] = [:], capacity: Int? = nil) {
        self.objects = Mutex(objects)
        self.capacity = capacity
    }

    private var freeBytesNow: Int? {
        capacity.map { $0 - contents.values.reduce(0) { $0 + $1.count } }
    }

    func freeBytes() async -> UInt64? { freeBytesNow.map { UInt64(max(0, $0)) } }

    /// All objects, as a copy.
    var contents: [ObjectName: [UInt8]] {
        get { objects.withLock { $0 } }
        set { objects.withLock { $0 = newValue } }
    }

    var names: [ObjectName] { contents.keys.sorted { $0.path < $1.path } }

    func create(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        if let free = freeBytesNow, bytes.count > free { throw .full }
        let isNew = objects.withLock { objects in
            if objects[name] != nil { return false }
            objects[name] = bytes
            return true
        }
        guard isNew else { throw .exists(name.path) }
    }

    func replace(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        objects.withLock { $0[name] = bytes }
    }

    func read(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8] {
        guard let object = contents[name] else { throw .notFound(name.path) }
        return object
    }

    func read(_ name: ObjectName, _ range: Range<Int>) async throws(ObjectStoreError) -> [UInt8] {
        let object = try await read(name)
        guard range.upperBound <= object.count else { throw .truncated(name.path) }
        return Array(object[range])
    }

    func size(of name: ObjectName) async throws(ObjectStoreError) -> Int { try await read(name).count }

    func list(_ folder: ObjectName.Folder) async throws(ObjectStoreError) -> [ObjectName] {
        contents.keys.filter { $0.path.hasPrefix("\(folder.rawValue)/") }
    }

    func delete(_ name: ObjectName) async throws(ObjectStoreError) {
        _ = objects.withLock { $0.removeValue(forKey: name) }
    }
}
