import ByteCoding
import Foundation
import Primitives
import RecoveryProtocol
import Testing

/// Bytes that Specs/reference/recovery.py makes alike: SHA-256(name ‖ 0), SHA-256(name ‖ 1), … cut to count.
func fill(_ name: String, _ count: Int) -> [UInt8] {
    let blocks = (0..<(count + 31) / 32).flatMap { sha256(Array(name.utf8) + [UInt8($0)]) }
    return Array(blocks.prefix(count))
}

extension FixedBytes {
    init(filledFrom name: String) { self.init(uncheckedBytes: fill(name, Self.byteCount)) }
}

func fillElement(_ name: String) -> GroupElement { GroupElement(uniformBytes: fill(name, 64)) }

@Suite struct `End-to-end vectors` {
    struct Vector: Decodable {
        struct Vault: Decodable {
            let index: UInt8
            let identitySeed, vaultID, share, shareKey, evaluation, nonce, proof: String
        }

        let n: Int
        let t: UInt8
        let fleetVersion, memoryKiB, passes: UInt32
        let promisedTotal: UInt8
        let fleetID, tenant, account, registrationID, password, wrongPassword, backupKey: String
        let coefficients: [String]
        let input, output, managementPublicKey, header, envelope, envelopeHash, recordHash: String
        let attemptID, blind, blindedElement, receipt: String
        let vaults: [Vault]

        func fleet() throws -> Fleet {
            let vaults = try vaults.map { vault in
                let identity = SigningKey(seed: SecretBytes(copying: try Hex.decode(vault.identitySeed)))
                return Fleet.Vault(
                    index: vault.index, identityKey: identity.verifyingKey, urls: ["https://vault.example"])
            }
            return try Fleet(
                id: FleetID(hex: fleetID), promisedTotal: promisedTotal, vaults: vaults,
                generations: [.init(version: fleetVersion, threshold: t, indices: vaults.map(\.index))])
        }

        var name: AccountName { get throws { try AccountName(tenant: tenant, account: account) } }

        func registration() throws -> NewRegistration {
            try NewRegistration(
                backupKey: SecretBytes(copying: try Hex.decode(backupKey)),
                password: SecretBytes(copying: Array(password.utf8)), fleet: try fleet(), name: try name,
                argon2: Argon2Parameters(memoryKiB: memoryKiB, passes: passes),
                randomness: RegistrationRandomness(
                    registrationID: try RegistrationID(hex: registrationID),
                    coefficients: try coefficients.map { try Scalar(hex: $0) }))
        }

        func attempt(_ password: String, at record: PublicRecord) throws -> PasswordAttempt {
            try PasswordAttempt(
                password: SecretBytes(copying: Array(password.utf8)), view: RecordView(record),
                attemptID: try AttemptID(hex: attemptID), blind: try Scalar(hex: blind))
        }
    }

    static let vectors = Result {
        try JSONDecoder().decode([Vector].self, from: vectorFile("end-to-end.json"))
    }

    @Test func `a registration has the reference's bytes`() throws {
        let vectors = try Self.vectors.get()
        #expect(vectors.map(\.n) == [1, 3, 5])
        for vector in vectors {
            let made = try vector.registration()
            #expect(Hex.encode(try made.record.header.encoded()) == vector.header)
            #expect(Hex.encode(try made.record.envelope.encoded()) == vector.envelope)
            #expect(made.record.envelope.hash.hex == vector.envelopeHash)
            #expect(made.recordHash.hex == vector.recordHash)
            #expect(made.managementKey.verifyingKey.hex == vector.managementPublicKey)
            for vault in vector.vaults {
                let share = try #require(made.share(for: try VaultID(hex: vault.vaultID)))
                #expect(Hex.encode(share.exposed()) == vault.share)
            }
            let input = try passwordInput(
                fleetID: try FleetID(hex: vector.fleetID), name: try vector.name,
                registrationID: try RegistrationID(hex: vector.registrationID),
                password: SecretBytes(copying: Array(vector.password.utf8)))
            #expect(Hex.encode(input.withBytes { Array($0) }) == vector.input)
        }
    }

    @Test func `an attempt has the reference's bytes, and every t-subset gives its key`() throws {
        for vector in try Self.vectors.get() {
            let record = try vector.registration().record
            let attempt = try vector.attempt(vector.password, at: record)
            #expect(attempt.blindedElement.hex == vector.blindedElement)
            #expect(attempt.receipt.hex == vector.receipt)
            let checked = try evaluations(of: attempt, record, vector)
            for subset in subsets(of: checked, count: Int(vector.t)) {
                let key = try attempt.finish(subset)
                #expect(Hex.encode(key.backupKey.withBytes { Array($0) }) == vector.backupKey)
            }
            let wrong = try vector.attempt(vector.wrongPassword, at: record)
            let refused = try evaluations(of: wrong, record, nil, vector.vaults)
            #expect(throws: FinishError.wrongPassword) { _ = try wrong.finish(refused) }
        }
    }

    /// Evaluates at every vault and checks the replies; against the vector's bytes if there is one.
    private func evaluations(
        of attempt: PasswordAttempt, _ record: PublicRecord, _ vector: Vector?, _ vaults: [Vector.Vault]? = nil
    ) throws -> [CheckedEvaluation] {
        try (vaults ?? vector?.vaults ?? []).map { vault in
            let made = Evaluation(
                of: attempt.blindedElement, share: try Scalar(hex: vault.share), nonce: try Scalar(hex: vault.nonce))
            if vector != nil {
                #expect(made.element.hex == vault.evaluation)
                #expect(made.shareKey.hex == vault.shareKey)
                #expect(made.proof.hex == vault.proof)
            }
            let reply = EvaluateReply(
                evaluation: made.element, proof: made.proof, shareKey: made.shareKey, envelope: record.envelope,
                attemptsLeft: 1)
            return try attempt.check(reply, from: try VaultID(hex: vault.vaultID))
        }
    }
}

@Suite struct `Golden byte strings` {
    struct File: Decodable {
        let labels: [String: String]
        let bytes: [String: String]
    }

    static let serial: UInt64 = 0x0102_0304_0506_0708
    static let time = Timestamp(unixSeconds: 1_800_000_000)

    let golden: File

    init() throws { golden = try JSONDecoder().decode(File.self, from: vectorFile("golden.json")) }

    private func name() throws -> AccountName { try AccountName(tenant: "tenant", account: "account") }

    private func record() throws -> PublicRecord {
        let holders = [1, 2, 5].map { index in
            ShareHolder(
                index: index, vaultID: VaultID(filledFrom: "vault \(index)"),
                commitment: ShareCommitment(filledFrom: "commitment \(index)"))
        }
        let header = try RecordHeader(
            fleetID: FleetID(filledFrom: "fleet"), fleetVersion: 3, name: name(),
            registrationID: RegistrationID(filledFrom: "registration"), threshold: 2, holders: holders,
            argon2: .standard, managementKey: VerifyingKey(filledFrom: "management"))
        return PublicRecord(
            header: header,
            envelope: try Envelope(
                commitment: fill("envelope commitment", 32), ciphertext: fill("envelope ciphertext", 48)))
    }

    private let certificate = SuccessionCertificate(
        oldRegistrationID: RegistrationID(filledFrom: "old registration"),
        newRecordHash: RecordHash(filledFrom: "new record hash"),
        newManagementKey: VerifyingKey(filledFrom: "new management"),
        oldSignature: Signature(filledFrom: "old signature"), newSignature: Signature(filledFrom: "new signature"))

    private func expect(_ made: [String: [UInt8]]) {
        for name in made.keys.sorted() {
            #expect(golden.bytes[name] == made[name].map { Hex.encode($0) }, "\(name)")
        }
    }

    @Test func `labels are those of the table`() {
        #expect(golden.labels.values.sorted() == Label.allCases.map(\.rawValue).sorted())
    }

    @Test func `hashes and records`() throws {
        let record = try record()
        let urls = ["https://one.example", "http://127.0.0.1:8001"]
        let vaults = (1...6).map { index in
            Fleet.Vault(
                index: index, identityKey: VerifyingKey(filledFrom: "identity \(index)"),
                urls: Array(urls.prefix(Int(1 + index % 2))))
        }
        let fleet = try Fleet(
            id: FleetID(filledFrom: "fleet"), promisedTotal: 10, vaults: vaults,
            generations: [
                .init(version: 1, threshold: 2, indices: [1, 2, 3]),
                .init(version: 4, threshold: 3, indices: [2, 3, 4, 5, 6]),
            ])
        let input = try passwordInput(
            fleetID: FleetID(filledFrom: "fleet"), name: name(),
            registrationID: RegistrationID(filledFrom: "registration"),
            password: SecretBytes(copying: Array("password".utf8)))
        expect([
            "vaultID": VaultID(identityKey: VerifyingKey(filledFrom: "identity")).bytes,
            "shareCommitment": ShareCommitment(
                registrationID: RegistrationID(filledFrom: "registration"), index: 5,
                vaultID: VaultID(filledFrom: "vault 5"), shareKey: fillElement("share key")
            ).bytes,
            "receipt": Receipt(
                registrationID: RegistrationID(filledFrom: "registration"),
                attemptID: AttemptID(filledFrom: "attempt"), blindedElement: fillElement("blinded")
            ).bytes,
            "channelKeyID": ChannelKeyID(publicKey: fill("channel key", 1216)).bytes,
            "recordHeader": try record.header.encoded(),
            "publicRecord": try record.encoded(),
            "envelopeHash": record.envelope.hash.bytes,
            "recordHash": try record.recordHash().bytes,
            "passwordInput": input.withBytes { Array($0) },
            "fleet": try fleet.encoded(),
            "fleetFingerprint": try Hex.decode(fleet.fingerprint().replacing(" ", with: "")),
            "signFleet": try SignedBytes.fleet(fleet),
        ])
    }

    @Test func `everything signed`() throws {
        let here = SigningContext(
            fleetID: FleetID(filledFrom: "fleet"), vaultID: VaultID(filledFrom: "vault 1"), name: try name(),
            serial: Self.serial)
        let old = RegistrationID(filledFrom: "old registration")
        let new = RecordHash(filledFrom: "new record hash")
        let registration = RegistrationID(filledFrom: "registration")
        expect([
            "signPrepare": try SignedBytes.prepare(here, oldRegistrationID: old, newRecordHash: new),
            "signActivate": try SignedBytes.activate(here, recordHash: new),
            "signReplace": try SignedBytes.replace(here, oldRegistrationID: old, newRecordHash: new),
            "signRetire": try SignedBytes.retire(
                fleetID: here.fleetID, name: here.name, oldRegistrationID: old, newRecordHash: new,
                newManagementKey: VerifyingKey(filledFrom: "new management")),
            "signConfirm": try SignedBytes.confirm(
                here, registrationID: registration,
                receipts: [Receipt(filledFrom: "receipt 1"), Receipt(filledFrom: "receipt 2")]),
            "signDelete": try SignedBytes.delete(here, registrationID: registration),
            "signForgive": try SignedBytes.forgive(
                here, registrationID: registration,
                attempts: [AttemptID(filledFrom: "attempt 1"), AttemptID(filledFrom: "attempt 2")]),
            "signHistory": try SignedBytes.history(here, registrationID: registration),
            "signSetHead": try SignedBytes.setHead(
                here, registrationID: registration, head: SealedHead(filledFrom: "head")),
            "signGetHead": try SignedBytes.getHead(here, registrationID: registration),
            "signThaw": try SignedBytes.thaw(
                here, registrationID: registration, nonce: ThawNonce(filledFrom: "thaw nonce")),
            "signChannelKey": try SignedBytes.channelKey(
                fleetID: here.fleetID, vaultID: here.vaultID, keyID: ChannelKeyID(filledFrom: "key id"),
                publicKey: fill("channel key", 1216), notBefore: Self.time,
                notAfter: Timestamp(unixSeconds: 1_800_090_000)),
        ])
    }

    @Test func `every request`() throws {
        let record = try record()
        let registration = RegistrationID(filledFrom: "registration")
        let signature = Signature(filledFrom: "signature")
        let replacement = Replacement(
            oldRegistrationID: RegistrationID(filledFrom: "old registration"),
            signature: Signature(filledFrom: "old signature"))
        var share = fill("share", 64)
        let operations: [String: RecoveryProtocol.Operation] = [
            "requestStatus": .status(StatusRequest()),
            "requestStatusOf": .status(StatusRequest(registrationID: registration)),
            "requestPrepare": .prepare(
                PrepareRequest(
                    serial: Self.serial, record: record, share: Scalar(reducing: &share), replacement: replacement)),
            "requestActivate": .activate(
                ActivateRequest(
                    serial: Self.serial, recordHash: RecordHash(filledFrom: "new record hash"),
                    signature: signature, replacement: nil)),
            "requestRetire": .retire(certificate),
            "requestEvaluate": .evaluate(
                EvaluateRequest(
                    serial: Self.serial, registrationID: registration, attemptID: AttemptID(filledFrom: "attempt"),
                    blindedElement: fillElement("blinded"))),
            "requestConfirm": .confirm(
                ConfirmRequest(
                    serial: Self.serial, registrationID: registration,
                    receipts: [Receipt(filledFrom: "receipt 1"), Receipt(filledFrom: "receipt 2")],
                    signature: signature)),
            "requestDelete": .delete(
                DeleteRequest(serial: Self.serial, registrationID: registration, signature: signature)),
            "requestForgive": .forgive(
                ForgiveRequest(
                    serial: Self.serial, registrationID: registration,
                    attempts: [AttemptID(filledFrom: "attempt 1"), AttemptID(filledFrom: "attempt 2")],
                    signature: signature)),
            "requestHistory": .history(
                HistoryRequest(serial: Self.serial, registrationID: registration, signature: signature)),
            "requestSetHead": .setHead(
                SetHeadRequest(
                    serial: Self.serial, registrationID: registration, head: SealedHead(filledFrom: "head"),
                    signature: signature)),
            "requestGetHead": .getHead(
                GetHeadRequest(serial: Self.serial, registrationID: registration, signature: signature)),
            "requestThaw": .thaw(
                ThawRequest(
                    serial: Self.serial, registrationID: registration, nonce: ThawNonce(filledFrom: "thaw nonce"),
                    signature: signature)),
            "requestDeletion": .requestDeletion(
                DeletionRequest(serial: Self.serial, registrationID: registration)),
        ]
        expect(try operations.mapValues { try Request(token: Array("token".utf8), operation: $0).encoded() })
        #expect(golden.bytes.keys.count { $0.hasPrefix("request") } == operations.count)
    }

    @Test func `every reply and refusal`() throws {
        let record = try record()
        let held = (1...5).compactMap { number in
            HeldRecord.Role(rawValue: number).map {
                HeldRecord(
                    role: $0, registrationID: RegistrationID(filledFrom: "held registration \(number)"),
                    recordHash: RecordHash(filledFrom: "held record \(number)"))
            }
        }
        let ended = EndedRegistration(
            registrationID: RegistrationID(filledFrom: "ended registration"),
            managementKey: VerifyingKey(filledFrom: "ended management"))
        let waiting = WaitingChange(
            kind: .replacement, requested: Self.time.adding(seconds: 1), allowed: Self.time.adding(seconds: 2))
        func status(_ state: AccountState, left: UInt8, full: Bool) -> Reply {
            .status(
                StatusReply(
                    serial: Self.serial, vaultTime: Self.time, state: state, attemptsLeft: left,
                    attemptsPerVault: 6, notBefore: Timestamp(unixSeconds: 0), held: full ? held : [],
                    record: full ? RecordView(record) : nil, certificates: full ? [certificate] : [],
                    ended: full ? ended : nil, waiting: full ? waiting : nil,
                    changedWithoutKey: full ? Self.time.adding(seconds: 3) : Timestamp(unixSeconds: 0),
                    frozen: full ? ThawNonce(filledFrom: "thaw nonce") : nil))
        }
        let evaluated = EvaluateReply(
            evaluation: fillElement("evaluation"), proof: EvaluationProof(filledFrom: "proof"),
            shareKey: fillElement("share key"), envelope: record.envelope, attemptsLeft: 5)
        let history = HistoryReply(
            serial: Self.serial, vaultTime: Self.time,
            entries: HistoryEntry.Kind.allCases.map { kind in
                HistoryEntry(
                    kind: kind, count: UInt32(kind.rawValue), first: Self.time,
                    last: Self.time.adding(seconds: UInt64(kind.rawValue)))
            },
            charged: (1...2).map { number in
                ChargedAttempt(
                    attemptID: AttemptID(filledFrom: "attempt \(number)"),
                    time: Self.time.adding(seconds: UInt64(number)))
            })
        let replies: [String: Reply] = [
            "replyStatus": status(
                .destructionPending(erasedAt: Self.time.adding(seconds: 100)), left: 0, full: true),
            "replyStatusNotRegistered": status(.notRegistered, left: 6, full: false),
            "replyPrepared": .prepared(serial: Self.serial),
            "replyActivated": .activated(serial: Self.serial),
            "replyRetired": .retired(serial: Self.serial),
            "replyEvaluated": .evaluated(evaluated),
            "replyConfirmed": .confirmed(serial: Self.serial, attemptsLeft: 6),
            "replyDeleted": .deleted(serial: Self.serial),
            "replyForgiven": .forgiven(serial: Self.serial, attemptsLeft: 6),
            "replyHistory": .history(history),
            "replyHeadSet": .headSet(serial: Self.serial),
            "replyHead": .head(
                HeadReply(
                    serial: Self.serial, kept: KeptHead(head: SealedHead(filledFrom: "head"), isRestored: true))),
            "replyHeadNone": .head(HeadReply(serial: Self.serial, kept: nil)),
            "replyThawed": .thawed(serial: Self.serial),
            "replyWaiting": .waiting(serial: Self.serial, allowed: Self.time),
        ]
        let refusals: [String: Refusal] = [
            "malformed": .malformed, "unauthorised": .unauthorised, "tokenExpired": .tokenExpired,
            "wrongVault": .wrongVault, "notRegistered": .notRegistered,
            "unknownRegistration": .unknownRegistration, "staleSerial": .staleSerial(current: Self.serial),
            "tooEarly": .tooEarly(notBefore: Self.time), "destructionPending": .destructionPending(erasedAt: Self.time),
            "destroyed": .destroyed(at: Self.time), "argon2TooCheap": .policyRefused(.argon2TooCheap),
            "registrationClosed": .policyRefused(.registrationClosed), "badShare": .badShare,
            "badSignature": .badSignature, "fleetMismatch": .fleetMismatch(vaultVersion: 3),
            "attemptReused": .attemptReused, "notPrepared": .notPrepared, "oldKeyNeeded": .oldKeyNeeded,
            "busy": .busy(retryAfterSeconds: 60), "suspended": .suspended, "unavailable": .unavailable,
            "changeWaiting": .changeWaiting(allowed: Self.time), "frozen": .frozen,
        ]
        expect(try replies.mapValues { try $0.encoded() })
        for name in refusals.keys.sorted() {
            let bytes = try refusals[name].map { try Reply.refused($0).encoded() }
            #expect(golden.bytes["refusal.\(name)"] == bytes.map { Hex.encode($0) }, "\(name)")
        }
        #expect(golden.bytes.keys.count { $0.hasPrefix("reply") } == replies.count)
        #expect(golden.bytes.keys.count { $0.hasPrefix("refusal") } == refusals.count)
    }

    @Test func `the channel's info and a sealed reply`() throws {
        let key = ReplyKey(
            exported: SecretBytes(copying: fill("exported", 32)), encapsulated: fill("encapsulated", 1120))
        let sealed = try key.seal(.prepared(serial: 1), salt: fill("salt", 32))
        let info = labelled(
            .channelInfo,
            fixed: {
                $0.uint8(1)
                $0.raw(fill("vault 1", 16))
                $0.raw(fill("key id", 8))
            })
        expect(["channelInfo": info, "sealedReply": try sealed.encoded()])
        #expect(try key.open(sealed) == .prepared(serial: 1))
    }
}
