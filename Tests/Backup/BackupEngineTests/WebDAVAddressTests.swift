import ObjectStores
import Testing

@Suite struct `The address of a folder on a server` {
    @Test(arguments: [
        (
            "webdav:https://Cloud.example:443/remote.php/dav/files/me/",
            "webdav:https://cloud.example/remote.php/dav/files/me"
        ),
        ("webdav:https://h/files/me@home/a b/ü", "webdav:https://h/files/me%40home/a%20b/%C3%BC"),
        ("webdav:https://h/a%20b%2e", "webdav:https://h/a%20b."),
        ("webdav:https://h/100%25", "webdav:https://h/100%25"),
        ("webdav:http://127.0.0.1:8080", "webdav:http://127.0.0.1:8080"),
        ("webdav:https://h:5006/", "webdav:https://h:5006"),
        ("webdav:https://h/a'(b)+c;d=e", "webdav:https://h/a%27%28b%29%2Bc%3Bd%3De"),
    ])
    func `is one text for one place`(_ text: String, _ canonical: String) throws {
        #expect(try WebDAVAddress(text).text == canonical)
        #expect(try WebDAVAddress(canonical) == WebDAVAddress(text))
    }

    @Test(arguments: [
        ("https://h/x", WebDAVAddress.Malformed.url(.notAnAddress)), ("webdav:h/x", .url(.notAnAddress)),
        ("webdav:https://me:secret@h/x", .url(.hasCredentials)), ("webdav:http://nas.local/x", .url(.notEncrypted)),
        ("webdav:https://h/x#y", .url(.notAnAddress)), ("webdav:https://h/x?y", .hasOptions),
        ("webdav:https://h/a//b", .badPath), ("webdav:https://h//", .badPath), ("webdav:https://h/../x", .badPath),
        ("webdav:https://h/%2e%2e/x", .badPath), ("webdav:https://h/./x", .badPath),
        ("webdav:https://h/a%2fb", .badPath),
        ("webdav:https://h/a%5cb", .badPath), ("webdav:https://h/a\\b", .badPath), ("webdav:https://h/a%00b", .badPath),
        ("webdav:https://h/a%0d%0ab", .badPath), ("webdav:https://h/50%", .badPath), ("webdav:https://h/%ff", .badPath),
        ("webdav:https://h/" + String(repeating: "x", count: 1_025), .badPath),
    ])
    func `is refused where it would mean something else`(_ text: String, _ error: WebDAVAddress.Malformed) {
        #expect(throws: error) { _ = try WebDAVAddress(text) }
    }

    @Test func `has the sign-in of the folders above it`() throws {
        #expect(
            try WebDAVAddress("webdav:https://h/a/b c").accounts
                == ["webdav:https://h/a/b%20c", "webdav:https://h/a", "webdav:https://h"])
    }
}
