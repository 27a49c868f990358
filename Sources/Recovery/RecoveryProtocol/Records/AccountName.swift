package import ByteCoding

/// Whose registration: a tenant and the stable internal id that it gives an account (not a phone number, which changes
/// hands). Both are the token's `iss` and `sub`.
package struct AccountName: ByteCodable, Hashable, Sendable {
    package let tenant: String
    package let account: String

    /// Refuses names outside the limits.
    package init(tenant: String, account: String) throws(ByteCodingError) {
        guard Limits.tenantBytes.contains(tenant.utf8.count), Limits.accountBytes.contains(account.utf8.count) else {
            throw .lengthOutOfRange
        }
        self.tenant = tenant
        self.account = account
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        tenant = try reader.text(Limits.tenantBytes)
        account = try reader.text(Limits.accountBytes)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try writer.text(tenant, Limits.tenantBytes)
        try writer.text(account, Limits.accountBytes)
    }

    /// Byte by byte: Swift's own equality of strings takes two spellings of one character for the same account.
    package static func == (left: AccountName, right: AccountName) -> Bool {
        left.tenant.utf8.elementsEqual(right.tenant.utf8) && left.account.utf8.elementsEqual(right.account.utf8)
    }

    package func hash(into hasher: inout Hasher) {
        for byte in tenant.utf8 { hasher.combine(byte) }
        hasher.combine(UInt8.max)
        for byte in account.utf8 { hasher.combine(byte) }
    }
}
