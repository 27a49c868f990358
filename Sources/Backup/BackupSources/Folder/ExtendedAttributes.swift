import BackupFormat
import CCofferSystem
import Foundation

/// A file's extended attributes, sorted by name; those that cannot be read are left out.
func extendedAttributes(_ path: [CChar]) -> [ExtendedAttribute] {
    let names = systemBytes { coffer_llistxattr(path, $0, $1) }
    return names.split(separator: 0).sorted { $0.lexicographicallyPrecedes($1) }.compactMap { name in
        let systemName = name.map { CChar(bitPattern: $0) } + [0]
        guard coffer_lgetxattr(path, systemName, nil, 0) >= 0 else { return nil }
        let value = systemBytes { buffer, count in coffer_lgetxattr(path, systemName, buffer, count) }
        return ExtendedAttribute(name: Array(name), value: value)
    }
}

/// Calls twice: for the size, then for the bytes. Empty if the file system has no such thing.
private func systemBytes(_ call: (UnsafeMutablePointer<CChar>?, Int) -> Int) -> [UInt8] {
    let size = call(nil, 0)
    guard size > 0 else { return [] }
    var bytes = [CChar](repeating: 0, count: size)
    let count = bytes.withUnsafeMutableBufferPointer { call($0.baseAddress, $0.count) }
    return count > 0 ? bytes[..<count].map { UInt8(bitPattern: $0) } : []
}

/// Sets extended attributes on an open file; returns the names of those that the file system did not take.
func setExtendedAttributes(_ attributes: [ExtendedAttribute], on file: Int32) -> [String] {
    attributes.compactMap { attribute in
        let name = attribute.name.map { CChar(bitPattern: $0) } + [0]
        let taken = attribute.value.withUnsafeBytes { coffer_fsetxattr(file, name, $0.baseAddress, $0.count) == 0 }
        return taken ? nil : String(decoding: attribute.name, as: UTF8.self)
    }
}
