import Foundation
import ObjectStores

extension RcloneStore {
    /// Nothing is asked yet; that there is an rclone is looked at.
    convenience init(opening address: RcloneAddress) throws(CofferError) {
        guard RcloneProcess.program(ProcessInfo.processInfo.environment) != nil else {
            throw CofferError(
                .unsupportedStore, "The program rclone, which \(address.text) is reached with, is not on this device.",
                advice:
                    "Install rclone \(RcloneProcess.versionMin) or later from https://rclone.org, where your PATH finds it. "
                    + "Nothing was changed.")
        }
        self.init(RcloneClient(address, RcloneProcess.shared()))
    }
}

extension RcloneAddress {
    var deniedAdvice: String { "Check with rclone itself what may be done in \(remoteName):." }

    var signInAdvice: String {
        "Sign in with rclone again: rclone config reconnect \(remoteName):, or rclone config if it is a remote with a password."
    }
}

extension CofferError {
    init(_ error: RcloneAddress.Malformed) {
        self.init(
            .unsupportedStore, error.words,
            advice: "The form is rclone:REMOTE:PATH, with a remote that rclone listremotes shows (Docs/Stores.md).")
    }
}

extension RcloneAddress.Malformed {
    /// Without the text itself, in which a password may stand.
    fileprivate var words: String {
        switch self {
        case .notAnAddress: "This is not the address of a place that rclone reaches."
        case .hasOptions:
            "The address holds options of rclone's, which would be shown and kept, and a password may stand among them. Nothing was kept. "
                + "They belong in rclone's own configuration: rclone config."
        case .badRemote: "The remote's name has letters, digits, spaces and _-.+@, as rclone wants it."
        case .badPath:
            "The path may have no empty part, no part that is . or .. alone, and none of the signs [ ] ? and \\."
        }
    }
}
