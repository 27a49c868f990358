"""The operations of `/database/1/CONTAINER/ENVIRONMENT/private/…`: what each takes, and what it answers."""

import secrets

from drive_emulator.messages import Reply

from .errors import Refused, bad_request
from .query import wanted_records
from .records import DEFAULT_ZONE, Zone


class Operations:
    """Each method has the name of its path: `records/modify` is `records_modify(database, request)`."""

    def __init__(self, settings, clock, assets):
        self.settings, self.clock, self.assets = settings, clock, assets
        self.markers = {}  # marker of a query: the names that are left

    def known(self):
        return {name.replace("_", "/", 1) for name in dir(self) if name.split("_")[0] in ("records", "zones", "changes", "assets", "users")}

    # Records

    def records_modify(self, database, body):
        operations = body.get("operations")
        if not isinstance(operations, list) or not 1 <= len(operations) <= self.settings.operationsMax:
            raise bad_request("Too many or no operations")
        zone = database.zone(body.get("zoneID"))
        results, failed = database.modify(zone, operations, body.get("atomic", zone.name != DEFAULT_ZONE))
        shown = []
        for operation, result in zip(operations, results):
            if isinstance(result, Refused):
                name = (operation.get("record") or {}).get("recordName")
                shown.append({"recordName": name} | result.answer())
            else:
                shown.append(database.shown(result, body.get("desiredKeys")))
        if failed:
            return Reply.of_json(Refused("ATOMIC_ERROR", "Atomic failure").answer() | {"records": shown}, 400)
        return Reply.of_json({"records": shown})

    def records_lookup(self, database, body):
        wanted = body.get("records")
        if not isinstance(wanted, list) or not 1 <= len(wanted) <= self.settings.recordsMax:
            raise bad_request("Too many or no records")
        zone, shown = database.zone(body.get("zoneID")), []
        for one in wanted:
            record = zone.records.get(one.get("recordName"))
            if record is None or record.deleted:
                shown.append({"recordName": one.get("recordName")} | Refused("NOT_FOUND", "Record not found").answer())
            else:
                shown.append(database.shown(record, one.get("desiredKeys", body.get("desiredKeys"))))
        return Reply.of_json({"records": shown})

    def records_query(self, database, body):
        zone, limit = database.zone(body.get("zoneID")), self.limit(body)
        if marker := body.get("continuationMarker"):
            if marker not in self.markers:
                raise bad_request("Invalid continuation marker")
            names = self.markers[marker]
        else:
            names = wanted_records(zone, body.get("query") or {}, self.settings, self.clock.now())
        here, rest = names[:limit], names[limit:]
        found = [zone.records[name] for name in here if name in zone.records and not zone.records[name].deleted]
        answer = {"records": [database.shown(record, body.get("desiredKeys")) for record in found]}
        if rest:
            answer["continuationMarker"] = secrets.token_urlsafe(16)
            self.markers[answer["continuationMarker"]] = rest
        return Reply.of_json(answer)

    def limit(self, body):
        limit = body.get("resultsLimit", self.settings.recordsMax)
        if not isinstance(limit, int) or limit < 1:
            raise bad_request("Invalid resultsLimit")
        return min(limit, self.settings.recordsMax)

    def changed(self, database, body):
        """Every record once, as it is now, by when it was last changed."""
        zone, limit = database.zone(body.get("zoneID")), self.limit(body)
        if zone.name == DEFAULT_ZONE:
            raise bad_request("AppDefaultZone does not support sync semantics")
        text = body.get("syncToken", "sync-0").removeprefix("sync-")
        if not text.isdigit() or int(text) > zone.sequence:
            raise bad_request("Invalid sync token")
        records = sorted((one for one in zone.records.values() if one.sequence > int(text)), key=lambda one: one.sequence)
        here = records[:limit]
        return {
            "records": [database.shown(one, body.get("desiredKeys")) for one in here], "moreComing": len(records) > limit,
            "syncToken": f"sync-{here[-1].sequence if here else text}"}

    def records_changes(self, database, body):
        return Reply.of_json(self.changed(database, body))

    def changes_zone(self, database, body):
        """The same for several zones; what is wrong with one is said of that one."""
        shown = []
        for one in body.get("zones") or []:
            try:
                shown.append({"zoneID": one.get("zoneID")} | self.changed(database, body | one))
            except Refused as refused:
                shown.append({"zoneID": one.get("zoneID")} | refused.answer())
        return Reply.of_json({"zones": shown})

    # Zones

    def zones_list(self, database, body):
        return Reply.of_json({"zones": [zone.shown() for zone in database.zones.values()]})

    def zones_lookup(self, database, body):
        shown = []
        for identifier in body.get("zones") or []:
            try:
                shown.append(database.zone(identifier).shown())
            except Refused as refused:
                shown.append({"zoneID": identifier} | refused.answer())
        return Reply.of_json({"zones": shown})

    def zones_modify(self, database, body):
        shown = []
        for operation in body.get("operations") or []:
            identifier = (operation.get("zone") or {}).get("zoneID") or {}
            try:
                shown.append(self.modified_zone(database, operation.get("operationType"), identifier.get("zoneName")))
            except Refused as refused:
                shown.append({"zoneID": identifier} | refused.answer())
        return Reply.of_json({"zones": shown})

    def modified_zone(self, database, kind, name):
        if not name or name == DEFAULT_ZONE or kind not in ("create", "delete"):
            raise bad_request("Invalid zone operation")
        if kind == "create":
            return database.zones.setdefault(name, Zone(name, database.user_record)).shown()
        shown = database.zone({"zoneName": name}).shown()
        del database.zones[name]
        return shown | {"deleted": True}

    # Assets and people

    def assets_upload(self, database, body):
        tokens = body.get("tokens")
        if not isinstance(tokens, list) or not 1 <= len(tokens) <= self.settings.operationsMax:
            raise bad_request("Too many or no tokens")
        database.zone(body.get("zoneID"))
        shown = []
        for one in tokens:
            if not one.get("fieldName") or not one.get("recordType"):
                raise bad_request("missing required field 'fieldName' or 'recordType'")
            name = one.get("recordName") or secrets.token_hex(16).upper()
            shown.append({"recordName": name, "fieldName": one["fieldName"], "url": self.assets.place(name, one["fieldName"])})
        return Reply.of_json({"tokens": shown})

    def users_current(self, database, body):
        return Reply.of_json({"userRecordName": database.user_record})

    users_caller = users_current
