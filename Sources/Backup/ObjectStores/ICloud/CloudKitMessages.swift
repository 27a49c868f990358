import Foundation

// What CloudKit's web services are asked and answer, as far as it is needed (Apple, CloudKit Web Services Reference).

enum CloudKitJSON {
    static func read<Value: Decodable>(_ answer: StoreAnswer) throws(StoreFailure) -> Value {
        do { return try JSONDecoder().decode(Value.self, from: Data(answer.body)) } catch {
            throw StoreFailure(.permanent, "its answer is not of the form that CloudKit's have")
        }
    }

    static func text(_ value: some Encodable) throws(StoreFailure) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do { return Array(try encoder.encode(value)) } catch { throw StoreFailure(.permanent, "no JSON: \(error)") }
    }
}

struct CloudKitZoneID: Codable, Equatable {
    var zoneName: String
}

/// What the host of assets says of bytes that it took, and a record must say again.
struct CloudKitAsset: Codable, Equatable, Sendable {
    var fileChecksum: String
    var size: Int
    var wrappingKey: String?
    var referenceChecksum: String?
    var receipt: String?
    /// Only in answers; `${f}` in it stands for a name of the client's own.
    var downloadURL: String?
}

/// A field of a record.
struct CloudKitField: Codable, Equatable, Sendable {
    enum Value: Equatable, Sendable {
        case number(Int)
        case text(String)
        /// In base64
        case bytes(String)
        case asset(CloudKitAsset)
    }

    var value: Value

    init(_ value: Value) { self.value = value }

    private enum Keys: String, CodingKey {
        case value, type
    }

    init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Keys.self)
        if let number = try? fields.decode(Int.self, forKey: .value) {
            value = .number(number)
        } else if let asset = try? fields.decode(CloudKitAsset.self, forKey: .value) {
            value = .asset(asset)
        } else {
            let text = try fields.decode(String.self, forKey: .value)
            value = (try? fields.decode(String.self, forKey: .type)) == "BYTES" ? .bytes(text) : .text(text)
        }
    }

    func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Keys.self)
        switch value {
        case .number(let number): try fields.encode(number, forKey: .value)
        case .text(let text): try fields.encode(text, forKey: .value)
        case .bytes(let text):
            try fields.encode(text, forKey: .value)
            // Looks like a text.
            try fields.encode("BYTES", forKey: .type)
        case .asset(let asset):
            try fields.encode(asset, forKey: .value)
            try fields.encode("ASSETID", forKey: .type)
        }
    }
}

struct CloudKitRecord: Codable, Sendable {
    var recordName: String
    var recordType: String?
    var fields: [String: CloudKitField]?
    var deleted: Bool?
}

struct CloudKitModify: Encodable {
    struct Operation: Encodable {
        var operationType: String
        var record: CloudKitRecord
    }

    var zoneID: CloudKitZoneID
    var operations: [Operation]
    /// All or nothing; what a zone of one's own is for.
    var atomic = true
    var desiredKeys: [String]
}

struct CloudKitLookup: Encodable {
    struct Wanted: Encodable {
        var recordName: String
        var desiredKeys: [String]
    }

    var zoneID: CloudKitZoneID
    var records: [Wanted]
}

struct CloudKitRecords: Decodable {
    var records: [CloudKitRecord]
}

struct CloudKitChanges: Encodable {
    var zoneID: CloudKitZoneID
    var syncToken: String?
    var desiredKeys: [String]
}

struct CloudKitChangesPage: Decodable {
    /// Without its fields: other programs' records may have any.
    struct Change: Decodable {
        var recordName: String
        var deleted: Bool?
    }

    var records: [Change]
    var syncToken: String
    var moreComing: Bool
}

struct CloudKitZones: Encodable {
    struct Operation: Encodable {
        struct Zone: Encodable {
            var zoneID: CloudKitZoneID
        }

        var operationType: String
        var zone: Zone
    }

    var operations: [Operation]

    init(_ operation: String, _ zone: CloudKitZoneID) {
        operations = [Operation(operationType: operation, zone: .init(zoneID: zone))]
    }
}

struct CloudKitPlaces: Encodable {
    struct Wanted: Encodable {
        var recordName: String
        var recordType: String
        var fieldName: String
    }

    var zoneID: CloudKitZoneID
    var tokens: [Wanted]
}

struct CloudKitPlacesAnswer: Decodable {
    struct Place: Decodable {
        var fieldName: String
        var url: String
    }

    var tokens: [Place]
}

struct CloudKitUpload: Decodable {
    var singleFile: CloudKitAsset
}

struct CloudKitUser: Decodable {
    var userRecordName: String
}

struct CloudKitNothing: Decodable {}
