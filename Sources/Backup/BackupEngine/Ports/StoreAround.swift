package import BackupFormat

/// A store around another one: whatever it does not do itself, that one does.
///
/// Only what every store must have is handed on. What `ObjectStore` can do by these it does by the outer store's: an object in
/// parts comes as one `create` here, unless `begin` is handed on too.
package protocol StoreAround: ObjectStore {
    var inner: any ObjectStore { get }
}

extension StoreAround {
    package var place: String { inner.place }

    package func create(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        try await inner.create(name, bytes)
    }

    package func replace(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        try await inner.replace(name, bytes)
    }

    package func read(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8] { try await inner.read(name) }

    package func read(_ name: ObjectName, _ range: Range<Int>) async throws(ObjectStoreError) -> [UInt8] {
        try await inner.read(name, range)
    }

    package func size(of name: ObjectName) async throws(ObjectStoreError) -> Int { try await inner.size(of: name) }

    package func list(_ folder: ObjectName.Folder) async throws(ObjectStoreError) -> [ObjectName] {
        try await inner.list(folder)
    }

    package func delete(_ name: ObjectName) async throws(ObjectStoreError) { try await inner.delete(name) }
}
