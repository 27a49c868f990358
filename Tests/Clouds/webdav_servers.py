"""WebDAV servers of other people's making, each on a free port of this machine, in a folder that a test gives.

    url, user, password, stop = start_wsgidav(folder)          or (None, the reason, None, None) where it is not installed

    python webdav_servers.py wsgidav FOLDER     prints its address, user and password in one line, and ends when its input does

Each ends with whoever started it, also if that is killed. One that does not come to answer is an error (`Wrong`).
"""

import base64
import importlib.util
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from server import Wrong, free_port, package_version, said_version, spawn, stopper

USER, PASSWORD = "u", "p"
START_SECONDS = 60


def run(command, url, folder, log, environment=None):
    """Starts a server and waits until it answers; the four things that each starter gives."""
    log = pathlib.Path(log)
    process = spawn(command, log.parent, environment, log.name)
    stop = stopper(process)
    deadline = time.monotonic() + START_SECONDS
    while not answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            stop()
            words = log.read_text(errors="replace").strip().split("\n")[-1]
            raise Wrong(f"{command[0]} does not start: {words}")
        time.sleep(0.05)
    return url, USER, PASSWORD, stop


def answers(url):
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    request = urllib.request.Request(
        url, method="PROPFIND", headers={"Depth": "0", "Authorization": f"Basic {login}"})
    try:
        urllib.request.urlopen(request, timeout=2, context=ssl._create_unverified_context()).close()
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False
    return True


def rooms(folder):
    """A folder for what is served, and one for the server itself."""
    folder = pathlib.Path(folder).resolve()
    data, own = folder / "data", folder / "server"
    for room in (data, own):
        room.mkdir(parents=True, exist_ok=True)
    return data, own


def lacks(program):
    if shutil.which(program) or pathlib.Path(f"/usr/sbin/{program}").exists():
        return None
    return None, f"{program} is not installed (scripts/setup --clouds)", None, None


def program(name):
    return shutil.which(name) or f"/usr/sbin/{name}"


def python_with(*modules):
    """A Python that has these: the tests' own, or the fleet's. Or why there is none."""
    if all(importlib.util.find_spec(module) for module in modules):
        return sys.executable, None
    fleet = pathlib.Path(__file__).resolve().parents[2] / ".build-tools/clouds/bin/python"
    found = fleet.exists() and subprocess.run(
        [fleet, "-c", f"import {', '.join(modules)}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if found and found.returncode == 0:
        return fleet, None
    return None, (None, f"the Python package {modules[0]} is not installed (scripts/setup --clouds)", None, None)


def crypted():
    """`u:p` as Apache and nginx keep it (APR's MD5 is theirs alone; both take SHA-1)."""
    import hashlib
    return f"{USER}:{{SHA}}{base64.b64encode(hashlib.sha1(PASSWORD.encode()).digest()).decode()}\n"


def start_apache(folder, digest=False):
    missing = lacks("apache2")
    if missing:
        return missing
    data, own = rooms(folder)
    modules = pathlib.Path("/usr/lib/apache2/modules")
    names = "mpm_event authn_core authn_file authz_core authz_user dav dav_fs mime".split()
    names.append("auth_digest" if digest else "auth_basic")
    port = free_port()
    # A server that is started as root serves as somebody else.
    nobody = "User nobody\nGroup nogroup\n" if os.getuid() == 0 else ""
    if digest:
        import hashlib
        line = f"{USER}:coffer:{hashlib.md5(f'{USER}:coffer:{PASSWORD}'.encode()).hexdigest()}\n"
    else:
        line = crypted()
    (own / "users").write_text(line)
    kind = "Digest" if digest else "Basic"
    provider = "AuthDigestProvider" if digest else "AuthBasicProvider"
    (own / "mime.types").write_text("")
    (own / "apache.conf").write_text(
        "".join(f"LoadModule {name}_module {modules}/mod_{name}.so\n" for name in names) + nobody + f"""
ServerRoot {own}
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile {own}/pid
ErrorLog {own}/error.log
TypesConfig {own}/mime.types
DAVLockDB {own}/locks
DavMinTimeout 60
LimitXMLRequestBody 1048576
AllowEncodedSlashes NoDecode
DocumentRoot {data}
<Directory {data}>
  Dav On
  AuthType {kind}
  AuthName coffer
  {provider} file
  AuthUserFile {own}/users
  Require valid-user
</Directory>
""")
    open_to_nobody(folder, data, own)
    return run(
        [program("apache2"), "-X", "-f", own / "apache.conf"], f"http://127.0.0.1:{port}/", folder, own / "output")


def open_to_nobody(folder, *rooms):
    if os.getuid() != 0:
        return
    path = pathlib.Path(folder).resolve()
    while path != path.parent:
        if path.stat().st_uid == 0:
            path.chmod(path.stat().st_mode | 0o011)
        path = path.parent
    for room in rooms:
        shutil.chown(room, "nobody", "nogroup")


def start_apache_digest(folder):
    return start_apache(folder, digest=True)


def start_nginx(folder):
    missing = lacks("nginx")
    if missing:
        return missing
    module = pathlib.Path("/usr/lib/nginx/modules/ngx_http_dav_ext_module.so")
    if not module.exists():
        return None, "nginx's module dav_ext is not installed", None, None
    data, own = rooms(folder)
    port = free_port()
    (own / "users").write_text(crypted())
    nobody = "user nobody nogroup;" if os.getuid() == 0 else ""
    places = "\n".join(
        f"  {name}_temp_path {own}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (own / "nginx.conf").write_text(f"""
load_module {module};
{nobody}
daemon off;
pid {own}/pid;
error_log {own}/error.log;
events {{}}
http {{
{places}
  access_log off;
  dav_ext_lock_zone zone=locks:10m;
  server {{
    listen 127.0.0.1:{port};
    root {data};
    client_max_body_size 0;
    dav_methods PUT DELETE MKCOL COPY MOVE;
    dav_ext_methods PROPFIND OPTIONS LOCK UNLOCK;
    dav_ext_lock zone=locks;
    auth_basic coffer;
    auth_basic_user_file {own}/users;
  }}
}}
""")
    open_to_nobody(folder, data, own)
    return run(
        [program("nginx"), "-c", own / "nginx.conf", "-p", own, "-e", own / "error.log"],
        f"http://127.0.0.1:{port}/", folder, own / "output")


def start_lighttpd(folder):
    missing = lacks("lighttpd")
    if missing:
        return missing
    if not pathlib.Path("/usr/lib/lighttpd/mod_webdav.so").exists():
        return None, "lighttpd's module webdav is not installed", None, None
    data, own = rooms(folder)
    (own / "uploads").mkdir(exist_ok=True)
    port = free_port()
    (own / "users").write_text(f"{USER}:{PASSWORD}\n")
    (own / "lighttpd.conf").write_text(f"""
server.modules = ("mod_auth", "mod_authn_file", "mod_webdav")
server.bind = "127.0.0.1"
server.port = {port}
server.document-root = "{data}"
server.upload-dirs = ("{own}/uploads")
server.errorlog = "{own}/error.log"
webdav.activate = "enable"
webdav.is-readonly = "disable"
webdav.sqlite-db-name = "{own}/webdav.db"
auth.backend = "plain"
auth.backend.plain.userfile = "{own}/users"
auth.require = ("/" => ("method" => "basic", "realm" => "coffer", "require" => "valid-user"))
""")
    return run(
        [program("lighttpd"), "-D", "-f", own / "lighttpd.conf"], f"http://127.0.0.1:{port}/", folder, own / "output")


def start_wsgidav(folder, digest=False, certificate=None):
    """certificate: the files of a certificate and its key, for https."""
    python, missing = python_with("wsgidav", "cheroot")
    if missing:
        return missing
    data, own = rooms(folder)
    port = free_port()
    secure = {"ssl_certificate": str(certificate[0]), "ssl_private_key": str(certificate[1])} if certificate else {}
    (own / "wsgidav.json").write_text(json.dumps(secure | {
        "host": "127.0.0.1", "port": port, "provider_mapping": {"/": str(data)}, "logging": {"enable": False},
        "simple_dc": {"user_mapping": {"*": {USER: {"password": PASSWORD}}}}, "verbose": 1,
        "http_authenticator": {
            "accept_basic": not digest, "accept_digest": digest, "default_to_digest": digest}}))
    return run(
        [python, "-m", "wsgidav.server.server_cli", "-c", own / "wsgidav.json"],
        f"{'https' if certificate else 'http'}://127.0.0.1:{port}/", folder, own / "output")


def start_wsgidav_digest(folder):
    return start_wsgidav(folder, digest=True)


def start_asgi_webdav(folder):
    python, missing = python_with("asgi_webdav", "uvicorn")
    if missing:
        return missing
    data, own = rooms(folder)
    port = free_port()
    (own / "asgi.json").write_text(json.dumps({
        "account_mapping": [{"username": USER, "password": PASSWORD, "permissions": ["+"]}],
        "provider_mapping": [{"prefix": "/", "uri": f"file://{data}"}]}))
    return run(
        [python, "-m", "asgi_webdav", "-c", own / "asgi.json", "-H", "127.0.0.1", "-P", port],
        f"http://127.0.0.1:{port}/", folder, own / "output")


def start_rclone(folder):
    missing = lacks("rclone") if not os.environ.get("RCLONE") else None
    if missing:
        return missing
    data, own = rooms(folder)
    port = free_port()
    environment = {
        "RCLONE_USER": USER, "RCLONE_PASS": PASSWORD, "RCLONE_CONFIG": str(own / "rclone.conf")}
    return run(
        [os.environ.get("RCLONE") or "rclone", "serve", "webdav", "--addr", f"127.0.0.1:{port}", data],
        f"http://127.0.0.1:{port}/", folder, own / "output", environment)


def start_copyparty(folder):
    python, missing = python_with("copyparty")
    if missing:
        return missing
    data, own = rooms(folder)
    port = free_port()
    return run(
        [python, "-m", "copyparty", "-i", "127.0.0.1", "-p", port, "-a", f"{USER}:{PASSWORD}",
         "-v", f"{data}::A,{USER}", "--daw", "--dav-auth", "-q", "--hist", own / "hist"],
        f"http://127.0.0.1:{port}/", folder, own / "output", {"XDG_CONFIG_HOME": str(own)})


SERVERS = {
    "apache": start_apache, "apache-digest": start_apache_digest, "nginx": start_nginx, "lighttpd": start_lighttpd,
    "wsgidav": start_wsgidav, "wsgidav-digest": start_wsgidav_digest, "asgi-webdav": start_asgi_webdav,
    "rclone": start_rclone, "copyparty": start_copyparty}


# Groups of the contract in which a server may promise less, as two requests fall (5: a look, and then a renaming).
MAY_PROMISE_LESS = {name: {5} for name in SERVERS}


def version(name):
    """Of a server of `SERVERS`, asked of it or of its package."""
    packages = {"wsgidav": "wsgidav", "wsgidav-digest": "wsgidav", "asgi-webdav": "asgiwebdav", "copyparty": "copyparty"}
    if name in packages:
        python, _ = python_with(packages[name].replace("asgiwebdav", "asgi_webdav"))
        return package_version(packages[name], python)
    if name == "rclone":
        return said_version(os.environ.get("RCLONE") or "rclone", "version")
    return said_version(program({"apache-digest": "apache2", "apache": "apache2"}.get(name, name)), "-v")


def main():
    name = sys.argv[1]
    with tempfile.TemporaryDirectory(prefix="coffer-webdav-", ignore_cleanup_errors=True) as folder:
        url, user, password, stop = SERVERS[name](sys.argv[2] if len(sys.argv) > 2 else folder)
        if url is None:
            print(f"- {user}", flush=True)
            return
        print(url, user, password, flush=True)
        sys.stdin.read()
        stop()


if __name__ == "__main__":
    main()
