import BackupFormat

extension ObjectStore {
    /// The sizes of objects, each asked for by itself. Those that are not there have none.
    func sizes(of names: [ObjectName]) async throws(ObjectStoreError) -> [ObjectName: Int] {
        let sizes = try await together(names, atOnce: uploadsAtOnce) { name throws(ObjectStoreError) in
            (name: name, bytes: try await sizeIfThere(name))
        }
        return sizes.reduce(into: [:]) { $0[$1.name] = $1.bytes }
    }

    /// Nil if there is no such object.
    func sizeIfThere(_ name: ObjectName) async throws(ObjectStoreError) -> Int? {
        do { return try await size(of: name) } catch .notFound { return nil }
    }
}
