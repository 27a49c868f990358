import BackupEngine
import BackupFormat
import Synchronization
import Testing

/// A store that fails once, at the k-th call, in one way.
final class FaultyStore: StoreAround {
    enum Fault: CaseIterable, CustomTestStringConvertible {
        /// The call fails and does nothing.
        case failure
        /// There is no room: writes fail, everything else goes on.
        case full
        /// What was asked for is done, but the answer is lost.
        case lostAnswer
        /// A read gives only the beginning.
        case cutReply
        /// A read gives one wrong bit.
        case wrongBit
        /// What is read, measured or listed is not there.
        case vanished

        var testDescription: String { "\(self)" }
    }

    let inner: any ObjectStore
    private let fault: Fault
    private let failingCall: Int
    private let calls = Mutex(0)

    init(_ store: any ObjectStore, _ fault: Fault, atCall failingCall: Int) {
        inner = store
        self.fault = fault
        self.failingCall = failingCall
    }

    /// How many calls there were.
    var callCount: Int { calls.withLock { $0 } }

    private func isFailing() -> Bool {
        calls.withLock { calls in
            defer { calls += 1 }
            return calls == failingCall
        }
    }

    func create(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        let fault = isFailing() ? fault : nil
        switch fault {
        case .failure: throw .failed("for the test")
        case .full: throw .full
        case .lostAnswer:
            try await inner.create(name, bytes)
            throw .failed("no answer")
        case .cutReply, .wrongBit, .vanished, nil: try await inner.create(name, bytes)
        }
    }

    func replace(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        switch isFailing() ? fault : nil {
        case .failure: throw .failed("for the test")
        case .full: throw .full
        case .lostAnswer:
            try await inner.replace(name, bytes)
            throw .failed("no answer")
        case .cutReply, .wrongBit, .vanished, nil: try await inner.replace(name, bytes)
        }
    }

    func read(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8] {
        let fault = isFailing() ? fault : nil
        return try spoil(try await inner.read(name), name, fault)
    }

    func read(_ name: ObjectName, _ range: Range<Int>) async throws(ObjectStoreError) -> [UInt8] {
        let fault = isFailing() ? fault : nil
        return try spoil(try await inner.read(name, range), name, fault)
    }

    private func spoil(_ bytes: [UInt8], _ name: ObjectName, _ fault: Fault?) throws(ObjectStoreError) -> [UInt8] {
        switch fault {
        case .failure, .lostAnswer: throw .failed("for the test")
        case .vanished: throw .notFound(name.path)
        case .cutReply: return Array(bytes.dropLast(bytes.count / 2 + 1))
        case .wrongBit:
            var bytes = bytes
            if !bytes.isEmpty { bytes[bytes.count / 2] ^= 0x10 }
            return bytes
        case .full, nil: return bytes
        }
    }

    func size(of name: ObjectName) async throws(ObjectStoreError) -> Int {
        switch isFailing() ? fault : nil {
        case .failure, .lostAnswer: throw .failed("for the test")
        case .vanished: throw .notFound(name.path)
        case .cutReply: return try await inner.size(of: name) / 2
        case .wrongBit, .full, nil: return try await inner.size(of: name)
        }
    }

    func list(_ folder: ObjectName.Folder) async throws(ObjectStoreError) -> [ObjectName] {
        switch isFailing() ? fault : nil {
        case .failure, .lostAnswer: throw .failed("for the test")
        case .vanished: throw .notFound(folder.rawValue)
        case .cutReply, .wrongBit, .full, nil: return try await inner.list(folder)
        }
    }

    func delete(_ name: ObjectName) async throws(ObjectStoreError) {
        switch isFailing() ? fault : nil {
        case .failure: throw .failed("for the test")
        case .lostAnswer:
            try await inner.delete(name)
            throw .failed("no answer")
        default: try await inner.delete(name)
        }
    }
}
