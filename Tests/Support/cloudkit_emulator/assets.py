"""Large fields: an address is asked for here, the bytes go to another host, and what that says goes into the record."""

import base64
import hashlib
import secrets
import urllib.parse
from dataclasses import dataclass

from drive_emulator.files import asked_range
from drive_emulator.messages import Reply

from .errors import bad_request


@dataclass
class Place:
    """Where one field's bytes may be sent, for a quarter of an hour."""

    record: str
    field: str
    since: float


@dataclass
class Asset:
    bytes: bytes
    # What the host of assets said of it, and the record must say again.
    answer: dict
    place: Place
    is_used: bool = False


class Assets:
    def __init__(self, settings, clock):
        self.settings, self.clock = settings, clock
        self.address = None
        self.places, self.assets = {}, {}

    def place(self, record, field):
        token = secrets.token_urlsafe(40)
        self.places[token] = Place(record, field, self.clock.now())
        return f"{self.address}/{token}/singleFileUpload"

    # On the host of assets

    def answer(self, request):
        """Who comes with another host's secrets, or by its name, came to the wrong place."""
        host = request.headers.get("Host", "")
        if "ckAPIToken" in request.query or "ckWebAuthToken" in request.query or host != self.address.removeprefix("http://"):
            return Reply(421, b"Misdirected Request")
        parts = request.path.strip("/").split("/")
        if request.method in ("POST", "PUT") and len(parts) == 2 and parts[1] == "singleFileUpload":
            return self.upload(request, parts[0])
        if request.method == "GET" and len(parts) == 3 and parts[0] == "B":
            return self.download(request, parts[1])
        return Reply(404)

    def upload(self, request, token):
        place = self.places.get(token)
        if not place or place.since + self.settings.uploadSeconds < self.clock.now():
            return Reply(410)
        if len(request.body) > self.settings.assetBytesMax:
            return Reply(413)
        checksum = base64.b64encode(b"\x01" + secrets.token_bytes(20)).decode()
        answer = {
            # A name that the server gives, and no hash of the bytes.
            "fileChecksum": checksum, "size": len(request.body), "wrappingKey": base64.b64encode(secrets.token_bytes(16)).decode(),
            "referenceChecksum": base64.b64encode(b"\x01" + hashlib.sha1(secrets.token_bytes(20)).digest()).decode(),
            "receipt": base64.b64encode(secrets.token_bytes(60)).decode()}
        self.assets[checksum] = Asset(request.body, answer, place)
        return Reply.of_json({"singleFile": answer})

    def download(self, request, key):
        checksum = base64.urlsafe_b64decode(key).decode("ascii", "replace")
        asset = self.assets.get(checksum)
        if not asset or not asset.is_used:
            return Reply(404)
        if not request.query.get("e", "").isdigit() or int(request.query["e"]) < self.clock.now():
            return Reply(410)
        headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
        wanted = asked_range(request.headers.get("Range"), len(asset.bytes))
        if wanted is None:
            return Reply(200, asset.bytes, headers)
        if wanted == ():
            return Reply(416, b"", {"Content-Range": f"bytes */{len(asset.bytes)}"})
        first, last = wanted
        return Reply(206, asset.bytes[first:last + 1], headers | {"Content-Range": f"bytes {first}-{last}/{len(asset.bytes)}"})

    # In records

    def used_by(self, value, record, field):
        """What a record keeps of an asset; only the field that its address was given out for may have it."""
        asset = self.assets.get(value.get("fileChecksum"))
        if not asset:
            raise bad_request("Invalid asset")
        if (asset.place.record, asset.place.field) != (record, field):
            raise bad_request("Asset was uploaded for another field")
        if not asset.is_used and any(value.get(name) != asset.answer[name] for name in asset.answer):
            raise bad_request("Invalid receipt")
        asset.is_used = True
        return {name: asset.answer[name] for name in ("fileChecksum", "size", "wrappingKey", "referenceChecksum")}

    def shown(self, value):
        checksum = value["value"]["fileChecksum"]
        key = base64.urlsafe_b64encode(checksum.encode()).decode()
        end = int(self.clock.now() + self.settings.downloadSeconds)
        # A client puts a name of its own in the place of ${f}.
        address = f"{self.address}/B/{key}/${{f}}?" + urllib.parse.urlencode({"o": secrets.token_urlsafe(12), "e": end})
        return {"value": value["value"] | {"downloadURL": address}, "type": "ASSETID"}
