/// Which of rclone's own variables reach it: those that say where a remote is, how to get there and how fast. Any other, of this rclone or
/// of a later one, could change what an operation does, or hide objects from a list, and who takes them for gone deletes what they need.
enum RcloneVariables {
    static func isLetThrough(_ name: String) -> Bool {
        let name = name.dropFirst("RCLONE_".count)
        if whole.contains(String(name)) || name.hasPrefix("CONFIG_") { return true }
        // `RCLONE_S3_REGION`: an option of one kind of remote.
        let kind = name.prefix { $0 != "_" }
        guard kind.endIndex < name.endIndex, kinds.contains(String(kind)) else { return false }
        return !hiding.contains(String(name[kind.endIndex...].dropFirst()))
    }

    /// Options of kinds that show another part of a remote, or another time: in rclone's configuration they hold for every command.
    private static let hiding: Set<String> = [
        "AUTH_OWNER_ONLY", "ONLY_SIGNED", "SHARED_FILES", "SHARED_FOLDER", "SHARED_FOLDERS", "SHARED_WITH_ME",
        "STARRED_ONLY",
        "TRASHED_ONLY", "VERSION_AT", "VERSION_DELETED", "VERSIONS",
    ]

    private static let whole: Set<String> = [
        "CONFIG", "PASSWORD_COMMAND", "CACHE_DIR", "TEMP_DIR",
        // The line.
        "BIND", "BWLIMIT", "BWLIMIT_FILE", "CA_CERT", "CLIENT_CERT", "CLIENT_KEY", "CLIENT_PASS", "CONTIMEOUT",
        "DISABLE_HTTP2", "DISABLE_HTTP_KEEP_ALIVES", "DSCP", "EXPECT_CONTINUE_TIMEOUT", "HEADER", "HEADER_DOWNLOAD",
        "HEADER_UPLOAD", "HTTP_PROXY", "LOW_LEVEL_RETRIES", "NO_CHECK_CERTIFICATE", "TIMEOUT", "TPSLIMIT",
        "TPSLIMIT_BURST", "USER_AGENT", "USE_COOKIES",
    ]

    /// As `rclone config providers` of 1.75 names their options, and kinds that older ones had.
    private static let kinds: Set<String> = [
        "ACD", "ALIAS", "ARCHIVE", "AZUREBLOB", "AZUREFILES", "B2", "BOX", "CACHE", "CHUNKER", "CLOUDINARY", "COMBINE",
        "COMPRESS", "CRYPT", "DOI", "DRIME", "DRIVE", "DROPBOX", "FICHIER", "FILEFABRIC", "FILELU", "FILEN", "FILESCOM",
        "FTP", "GCS", "GOFILE", "GPHOTOS", "HASHER", "HDFS", "HIDRIVE", "HTTP", "HUAWEIDRIVE", "ICLOUDDRIVE",
        "IMAGEKIT", "INTERNETARCHIVE", "INTERNXT", "JOTTACLOUD", "KOOFR", "LINKBOX", "LOCAL", "MAILRU", "MEGA",
        "MEMORY", "NETSTORAGE", "ONEDRIVE", "OOS", "OPENDRIVE", "PCLOUD", "PIKPAK", "PIXELDRAIN", "PREMIUMIZEME",
        "PROTONDRIVE", "PUTIO", "QINGSTOR", "QUATRIX", "S3", "SEAFILE", "SFTP", "SHADE", "SHAREFILE", "SIA", "SMB",
        "STORJ", "SUGARSYNC", "SWIFT", "TARDIGRADE", "ULOZTO", "UNION", "UPTOBOX", "WEBDAV", "YANDEX", "ZOHO",
    ]
}
