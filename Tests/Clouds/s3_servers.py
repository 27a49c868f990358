"""Servers of S3 (clouds.md's start commands, on ports found free)."""

import functools
import os
import pathlib
import subprocess
import time

from server import (
    ROOT, TOOLS, Missing, Running, Wrong, free_port, package_version, program, said_version, spawn, stopper, wait_until_answers)

KEY_ID = "AKIAEXAMPLE0"
SECRET = "secretsecret0"
BUCKET = "coffer"
SLOW_DOWN = (503, b"<Error><Code>SlowDown</Code></Error>")


def client(address, key_id=KEY_ID, secret=SECRET):
    """boto3: what makes the bucket, and reads and writes as another program."""
    try:
        import boto3
        from botocore.config import Config
    except ImportError:
        raise Missing("boto3 is not installed (scripts/setup --clouds)")
    return boto3.client(
        "s3", endpoint_url=address, aws_access_key_id=key_id, aws_secret_access_key=secret, region_name="us-east-1",
        config=Config(
            connect_timeout=10, read_timeout=60, retries={"max_attempts": 3},
            s3={"addressing_style": "path"}, request_checksum_calculation="when_required",
            response_checksum_validation="when_required"))


def prefix_of(store):
    return store.split(f"/{BUCKET}/", 1)[1] + "/"


def fetch(bucket, store, folder):
    prefix = prefix_of(store)
    for page in bucket.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix):
        for entry in page.get("Contents", []):
            path = folder / entry["Key"].removeprefix(prefix)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bucket.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read())


def push(bucket, folder, store):
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        bucket.put_object(Bucket=BUCKET, Key=prefix_of(store) + str(path.relative_to(folder)), Body=path.read_bytes())


def running(address, stop, key_id=KEY_ID, secret=SECRET, note="", **known):
    try:
        bucket = client(address, key_id, secret)
        bucket.create_bucket(Bucket=BUCKET)
    except BaseException:
        stop()
        raise
    return Running(
        store=lambda line, name: f"s3:{line}/{BUCKET}/{name}", stop=stop, address=address,
        environment={"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret}, busy=SLOW_DOWN,
        fetch=functools.partial(fetch, bucket), push=functools.partial(push, bucket), note=note, **known)


def simple(arguments, folder, environment=None, **details):
    """One program, one port, `{port}` and `{data}` in its arguments and environment."""
    port, data = free_port(), folder / "data"
    data.mkdir(parents=True)
    fill = functools.partial(str.format, port=port, data=data)
    process = spawn(
        [program(arguments[0]), *map(fill, arguments[1:])], folder, {name: fill(text) for name, text in (environment or {}).items()})
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_answers(address, process)
    except BaseException:
        stopper(process)()
        raise
    return running(address, stopper(process), **details)


def moto(folder):
    python = TOOLS / "python" / "bin" / "python"
    if not python.exists():
        raise Missing("moto is not installed (scripts/setup --tests)")
    version = package_version("moto", python)
    process = subprocess.Popen(
        [str(python), str(ROOT / "Tests/EndToEnd/s3_server.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    address = process.stdout.readline().strip()
    if not address:
        process.wait(10)
        raise Wrong("moto does not start")

    def stop():
        process.stdin.close()
        process.wait(10)
    return running(address, stop, note=version)


def ministack(folder):
    return simple(["ministack"], folder, {"GATEWAY_PORT": "{port}"}, note=package_version("ministack"))


def rclone(folder):
    return simple(
        ["rclone", "serve", "s3", "--auth-key", f"{KEY_ID},{SECRET}", "--addr", "127.0.0.1:{port}", "{data}"], folder,
        weaker={5}, unsteady={6, 7, 10}, note=said_version(program("rclone"), "version"))


def nanio(folder):
    return simple(
        ["nanio", "serve", "--data-dir", "{data}", "--host", "127.0.0.1", "--port", "{port}"], folder,
        {"NANIO_ACCESS_KEY": KEY_ID, "NANIO_SECRET_KEY": SECRET}, weaker={5}, broken={3, 6}, note=package_version("nanio"))


def localbucket(folder):
    return simple(["localbucket", "{data}", "--port", "{port}"], folder, note=package_version("localbucket"))


def pys3local(folder):
    return simple(
        ["pys3local", "serve", "--path", "{data}", "--listen", "127.0.0.1:{port}", "--access-key-id", KEY_ID,
         "--secret-access-key", SECRET, "--allow-bucket-creation"], folder, weaker={5}, broken={4}, note=package_version("pys3local"))


def script(name, folder, ports):
    """A server of several programs, started by a shell script."""
    return spawn(["bash", pathlib.Path(__file__).with_name(name)], folder, {"D": str(folder), **ports})


def openstack_swift(folder):
    program("swift-proxy-server")
    program("memcached")
    version = package_version("swift", "/usr/bin/python3")
    names = ("PROXY", "ACCOUNT", "CONTAINER", "OBJECT", "MEMCACHED")
    ports = {f"{name}_PORT": str(free_port()) for name in names}
    process = script("start-openstack-swift", folder, ports)
    address = f"http://127.0.0.1:{ports['PROXY_PORT']}"
    try:
        wait_until_answers(address, process, 120)
    except BaseException:
        stopper(process)()
        raise
    # Its lists have pages, but 2,500 objects take it minutes.
    return running(address, stopper(process), "test:tester", "testing", weaker={5}, note=version, options=("--quick",))


def ceph_rgw(folder):
    for name in ("radosgw", "ceph-mon", "ceph-osd", "monmaptool", "radosgw-admin"):
        program(name)
    ports = {f"{name}_PORT": str(free_port()) for name in ("MON", "RGW")}
    process = script("start-ceph-rgw", folder, ports | {"KEY_ID": KEY_ID, "SECRET": SECRET})
    address = f"http://127.0.0.1:{ports['RGW_PORT']}"
    try:
        # The user is made after the server answers: the script then writes this file.
        wait_until_answers(address, process, 120)
        deadline = time.monotonic() + 60
        while not (folder / "ready").exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise Wrong("Ceph's user cannot be made")
            time.sleep(0.1)
    except BaseException:
        stopper(process)()
        raise
    return running(address, stopper(process), note=said_version("radosgw", "--version"))


SERVERS = {
    "moto": moto, "ministack": ministack, "rclone-s3": rclone, "nanio": nanio, "localbucket": localbucket,
    "pys3local": pys3local, "openstack-swift": openstack_swift, "ceph-rgw": ceph_rgw,
}
