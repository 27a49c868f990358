"""`/emulator/…`: how tests steer the emulator and look inside. No part of CloudKit."""

import drive_emulator.control

from .sign_in import SignIn


class Control(drive_emulator.control.Steering):
    def post_token(self, values):
        """A sign-in without a browser: `user`, `kept`."""
        return {"ckWebAuthToken": self.emulator.sign_ins.fresh(SignIn(values.get("user", "ada"), values.get("kept", False)))}

    def post_sign_out(self, _):
        """No token is good any more."""
        self.emulator.sign_ins.tokens = {}
        return {}

    def get_records(self, _):
        """What is in everybody's zones."""
        return [
            {"user": user, "zone": zone.name, "recordName": record.name, "recordType": record.type,
             "fields": {name: value["value"] for name, value in record.fields.items()}}
            for user, database in self.emulator.databases.items() for zone in database.zones.values()
            for record in zone.records.values() if not record.deleted]

    def post_corrupt(self, values):
        """One byte of the asset with this `fileChecksum` becomes another one."""
        asset = self.emulator.assets.assets[values["fileChecksum"]]
        middle = len(asset.bytes) // 2
        asset.bytes = asset.bytes[:middle] + bytes([asset.bytes[middle] ^ 1]) + asset.bytes[middle + 1:]
        return {}
