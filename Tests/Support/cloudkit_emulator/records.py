"""One person's private database: zones, records, and what is done to them."""

import json
import uuid
from dataclasses import dataclass, field

from .errors import Refused, bad_request

DEFAULT_ZONE = "_defaultZone"
NEEDS_TAG = {"update", "replace"}
OPERATIONS = {"create", "update", "forceUpdate", "replace", "forceReplace", "delete", "forceDelete"}


@dataclass
class Record:
    name: str
    type: str
    tag: str
    fields: dict
    created: float
    modified: float
    # When it was changed among all changes of its zone.
    sequence: int = 0
    deleted: bool = False

    @property
    def bytes(self):
        """Without its assets."""
        plain = {name: value for name, value in self.fields.items() if value.get("type") != "ASSETID"}
        return len(json.dumps(plain).encode()) if plain else 0

    @property
    def asset_bytes(self):
        return sum(value["value"].get("size", 0) for value in self.fields.values() if value.get("type") == "ASSETID")


@dataclass
class Zone:
    name: str
    owner: str
    records: dict = field(default_factory=dict)
    sequence: int = 0

    def put(self, record):
        self.sequence += 1
        record.sequence = self.sequence
        self.records[record.name] = record

    @property
    def identifier(self):
        kind = "DEFAULT_ZONE" if self.name == DEFAULT_ZONE else "REGULAR_CUSTOM_ZONE"
        return {"zoneName": self.name, "ownerRecordName": self.owner, "zoneType": kind}

    def shown(self):
        return {"zoneID": self.identifier, "syncToken": f"sync-{self.sequence}", "atomic": self.name != DEFAULT_ZONE}


def field_type(value):
    """The type of a field that came without one."""
    if isinstance(value, bool) or isinstance(value, int):
        return "NUMBER_INT64"
    if isinstance(value, float):
        return "NUMBER_DOUBLE"
    if isinstance(value, dict):
        return "ASSETID" if "fileChecksum" in value else "REFERENCE"
    if isinstance(value, list):
        return "STRING_LIST"
    return "STRING"


class Database:
    def __init__(self, user, settings, clock, assets):
        self.user, self.settings, self.clock, self.assets = user, settings, clock, assets
        self.zones = {DEFAULT_ZONE: Zone(DEFAULT_ZONE, self.user_record)}

    @property
    def user_record(self):
        return f"_{uuid.uuid5(uuid.NAMESPACE_OID, self.user).hex}"

    @property
    def used(self):
        return sum(record.bytes + record.asset_bytes for zone in self.zones.values() for record in zone.records.values())

    def zone(self, identifier):
        name = (identifier or {}).get("zoneName", DEFAULT_ZONE)
        if name not in self.zones:
            raise Refused("ZONE_NOT_FOUND", f"Zone '{name}' does not exist")
        return self.zones[name]

    # Changes

    def modify(self, zone, operations, atomic):
        """What became of each operation, in their order."""
        if len({one.get("record", {}).get("recordName") or index for index, one in enumerate(operations)}) < len(operations):
            raise bad_request("Operations on the same record")
        before, sequence = dict(zone.records), zone.sequence
        results = [self.attempt(zone, one) for one in operations]
        failed = [one for one in results if isinstance(one, Refused)]
        if failed and atomic:
            zone.records, zone.sequence = before, sequence
            # The answer is an error as a whole; each record says what became of it.
            return [one if isinstance(one, Refused) else Refused("ATOMIC_ERROR", "Atomic failure") for one in results], True
        return results, False

    def attempt(self, zone, operation):
        try:
            return self.perform(zone, operation.get("operationType"), operation.get("record") or {})
        except Refused as refused:
            return refused

    def perform(self, zone, kind, wanted):
        if kind not in OPERATIONS:
            raise bad_request(f"Unknown operation type '{kind}'")
        name = wanted.get("recordName") or str(uuid.uuid4()).upper()
        if not isinstance(name, str) or len(name) > 255 or not name.isascii() or name.startswith("_"):
            raise bad_request("Invalid record name")
        record = zone.records.get(name)
        record = None if record is None or record.deleted else record
        if kind == "create" and record:
            raise Refused("EXISTS", "record to insert already exists")
        if kind in ("update", "replace", "delete") and not record:
            raise Refused("NOT_FOUND", "Record not found")
        self.check_tag(kind, wanted.get("recordChangeTag"), record)
        if kind in ("delete", "forceDelete"):
            return self.delete(zone, name, record)
        kept = dict(record.fields) if record and kind in ("update", "forceUpdate") else {}
        return self.save(zone, name, record, wanted, kept)

    def check_tag(self, kind, tag, record):
        if kind in NEEDS_TAG and tag is None:
            raise bad_request("missing required field 'recordChangeTag'")
        if kind in NEEDS_TAG | {"delete"} and tag is not None and tag != record.tag:
            raise Refused("CONFLICT", "Oplock error", serverRecord=self.shown(record))

    def save(self, zone, name, record, wanted, fields):
        type_ = wanted.get("recordType") or (record and record.type)
        if not type_:
            raise bad_request("missing required field 'recordType'")
        for field_name, value in (wanted.get("fields") or {}).items():
            if not isinstance(value, dict) or "value" not in value:
                raise bad_request(f"Invalid value for field '{field_name}'")
            if value["value"] is None:
                fields.pop(field_name, None)
                continue
            kind = value.get("type") or field_type(value["value"])
            found = self.assets.used_by(value["value"], name, field_name) if kind in ("ASSETID", "ASSET") else value["value"]
            fields[field_name] = {"value": found, "type": "ASSETID" if kind == "ASSET" else kind}
        now = self.clock.now()
        made = Record(name, type_, uuid.uuid4().hex[:8], fields, record.created if record else now, now)
        if made.bytes > self.settings.recordBytesMax:
            raise bad_request("record too large")
        replaced = record.bytes + record.asset_bytes if record else 0
        if self.settings.quotaBytes is not None and self.used - replaced + made.bytes + made.asset_bytes > self.settings.quotaBytes:
            raise Refused("QUOTA_EXCEEDED", "Quota exceeded")
        zone.put(made)
        return made

    def delete(self, zone, name, record):
        gone = Record(name, record.type if record else "", "", {}, 0, self.clock.now(), deleted=True)
        zone.put(gone)
        return gone

    # Answers

    def shown(self, record, keys=None):
        if record.deleted:
            return {"recordName": record.name, "deleted": True}
        fields = {name: value for name, value in record.fields.items() if keys is None or name in keys}
        fields = {name: self.assets.shown(value) if value["type"] == "ASSETID" else value for name, value in fields.items()}
        stamp = {"userRecordName": self.user_record, "deviceID": "2"}
        return {
            "recordName": record.name, "recordType": record.type, "fields": fields, "pluginFields": {}, "recordChangeTag": record.tag,
            "created": {"timestamp": int(record.created * 1000)} | stamp, "modified": {"timestamp": int(record.modified * 1000)} | stamp,
            "deleted": False}
