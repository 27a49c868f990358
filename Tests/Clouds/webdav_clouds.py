"""The servers of `webdav_servers.py` for trials, and rclone as the other program that reads and writes there."""

import os

from rclone_remotes import Configuration, obscured
from server import Missing, Running, program
import webdav_servers

# No list of WebDAV has pages; these show that long ones come whole all the same.
WHOLE = {"apache", "nginx"}
# rclone speaks no Digest; and lighttpd refuses XML that is not said to be XML (415), as rclone's questions are not.
WITHOUT_CLIENT = {"apache-digest", "wsgidav-digest", "lighttpd"}


def starter(kind):
    def start(folder):
        os.environ.setdefault("RCLONE", program("rclone"))
        folder.mkdir(parents=True, exist_ok=True)
        url, user, password, stop = webdav_servers.SERVERS[kind](folder)
        if url is None:
            raise Missing(user)
        address = url.rstrip("/")
        try:
            fetch, push = (None, None) if kind in WITHOUT_CLIENT else clients(folder / "client", user, password)
            note = webdav_servers.version(kind)
        except BaseException:
            stop()
            raise
        return Running(
            store=lambda line, name: f"webdav:{line}/{name}", stop=stop, address=address,
            environment={"COFFER_WEBDAV_USER": user, "COFFER_WEBDAV_PASSWORD": password},
            options=() if kind in WHOLE else ("--quick",), fetch=fetch, push=push, note=note,
            may_promise_less=frozenset(webdav_servers.MAY_PROMISE_LESS.get(kind, ())))
    return start


def clients(folder, user, password):
    """Reading a store into a folder, and writing a folder into a store."""
    secret = obscured(password)
    configuration = Configuration(
        folder, lambda url: {"type": "webdav", "url": url, "vendor": "other", "user": user, "pass": secret, "pacer_min_sleep": "1ms"})

    def remote(store):
        # The folder is a path on the remote and no part of its address: rclone makes no folder of the latter.
        server, _, path = store.removeprefix("webdav:").rpartition("/")
        return f"{configuration.remote(server)}:{path}"

    return (lambda store, into: configuration.copy(remote(store), into),
            lambda source, store: configuration.copy(source, remote(store)))


SERVERS = {"rclone-webdav" if kind == "rclone" else kind: starter(kind) for kind in webdav_servers.SERVERS}
