import Foundation
import ObjectStores

/// What a person allowed at Google, and when it may be taken back. It is one permission for a person and a Cloud project, with all
/// folders and clients; and Google erases the hidden folder of a project that is disconnected.
struct GooglePermission {
    /// Projects with which this device was ever signed in at a hidden folder. It outlives the sign-in: the backup may still be there.
    private static let hiddenFile = "google-hidden-projects.json"
    private static let page = "https://myaccount.google.com/permissions"

    let address: DriveAddress
    let project: String
    private let folder: DeviceFolder

    init(_ address: DriveAddress, clientID: String, _ folder: DeviceFolder) {
        self.address = address
        self.folder = folder
        project = GoogleClient.project(ofClient: clientID)
    }

    /// At each sign-in to the hidden folder, and when it ends.
    func rememberHidden() throws(CofferError) {
        guard address.space == .appdata else { return }
        let projects = try hiddenProjects()
        guard !projects.contains(project) else { return }
        let bytes = (try? JSONEncoder().encode((projects + [project]).sorted())).map { Array($0) } ?? []
        try folder.write(Self.hiddenFile, bytes + [0x0a])
    }

    private func hiddenProjects() throws(CofferError) -> [String] {
        guard let bytes = try folder.read(Self.hiddenFile) else { return [] }
        guard let projects = try? JSONDecoder().decode([String].self, from: Data(bytes)) else {
            throw CofferError(
                .damagedState, "\(folder.path)/\(Self.hiddenFile) is damaged.",
                advice: "Delete this file, if no backup of yours is in a hidden folder of Google Drive.")
        }
        return projects
    }

    /// Why it is not taken back, in a sentence; nil if it may be.
    func reasonToLeave() throws(CofferError) -> String? {
        if address.space == .appdata {
            return
                "taking the permission back might erase the backup, which is in the folder that Drive keeps for this OAuth client."
        }
        if try hiddenProjects().contains(project) {
            return
                "this device has used the hidden folder (?space=appdata) with a client of the same project, and taking the permission "
                + "back might erase the backup there."
        }
        let others = try StoreSignIns(folder).entries().filter { store, entry in
            store != address.account && (try? DriveAddress(store)) != nil
                && GoogleClient.project(ofClient: entry.name) == project
        }.keys.sorted()
        guard !others.isEmpty else { return nil }
        return
            "the permission is one for all folders, and this device is still signed in at \(others.joined(separator: ", "))."
    }

    /// Ends what was allowed, if nothing else depends on it, and tells what came of it.
    func takeBack(_ grant: GoogleGrant, _ oauth: GoogleOAuth) async -> [String] {
        do {
            try rememberHidden()
            if let reason = try reasonToLeave() {
                return [
                    "Google was not told: \(reason) The sign-in that this device has forgotten stays valid there; \(Self.page) ends all "
                        + "of them."
                ]
            }
        } catch {
            return [
                "Google was not told, since it is not known whether a hidden backup depends on it: \(error.message)"
            ]
        }
        do {
            try await oauth.revoke(grant.refreshToken)
            return [
                "Google has taken the permission back. Other devices that signed in with the same OAuth client may have to sign in "
                    + "again. The backup is still in your Drive."
            ]
        } catch {
            return [
                "Google could not be told (\(error.detail)): remove the access at \(Self.page) if somebody may have copied this device's "
                    + "files."
            ]
        }
    }

    /// After another sign-in: the one before is left as it is, since ending it may end the new one, too.
    var earlierStays: String {
        let end =
            mayBeTakenBack
            ? "run \(StoreAccount(address).logout), and sign in again" : "end all of them at \(Self.page)"
        return "The sign-in that this device had before stays valid at Google. If somebody may have copied it, \(end)."
    }

    private var mayBeTakenBack: Bool {
        do throws(CofferError) { return try reasonToLeave() == nil } catch { return false }
    }
}

extension GoogleDriveAccess {
    /// What was allowed to this device ends, and what it noted of the folder.
    func takeBack() async -> [String] {
        defer { journal.delete() }
        guard let grant = try? grant() else { return [] }
        return await permission(grant.client).takeBack(grant, oauth)
    }

    func permission(_ client: GoogleClient) -> GooglePermission {
        GooglePermission(address, clientID: client.id, deviceFolder)
    }
}
