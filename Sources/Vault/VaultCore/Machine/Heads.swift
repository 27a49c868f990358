import RecoveryProtocol

/// SetHead and GetHead: what devices say of their newest backup, sealed under their key.
extension Machine {
    /// The last one stays: which of two is the newer only whoever has the key can tell. A device that wrote after
    /// another one meets the serial that the other one raised, and looks again.
    mutating func setHead(_ request: SetHeadRequest) throws(Refused) -> Reply {
        let active = try activeRegistration(request.registrationID)
        try requireSerial(request.serial)
        try requireOwner(request.signature, by: active.managementKey) { signing in
            try SignedBytes.setHead(signing, registrationID: request.registrationID, head: request.head)
        }
        record.head = KeptHead(head: request.head)
        advanceSerial()
        events.append(.headSet)
        return .headSet(serial: record.serial)
    }

    /// The signature comes before the look: a stranger does not learn whether there is a head.
    mutating func getHead(_ request: GetHeadRequest) throws(Refused) -> Reply {
        let active = try activeRegistration(request.registrationID)
        try requireSerial(request.serial)
        try requireOwner(request.signature, by: active.managementKey) { signing in
            try SignedBytes.getHead(signing, registrationID: request.registrationID)
        }
        // As with History: a kept message would call off what is requested later.
        advanceSerial()
        events.append(.shown)
        return .head(HeadReply(serial: record.serial, kept: record.head))
    }

    private func activeRegistration(_ id: RegistrationID) throws(Refused) -> Registration {
        guard let active = record.active else { throw Refused(absence) }
        guard active.id == id else { throw Refused(.unknownRegistration) }
        return active
    }
}
