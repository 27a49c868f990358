"""`/emulator/…`: how tests steer the emulator and look inside. No part of Drive."""

import base64
import json

from . import errors, writing
from .messages import Reply


class Steering:
    """Faults, time, settings and what was asked: the same for every emulator."""

    def __init__(self, emulator):
        self.emulator = emulator

    def answer(self, request):
        """GET shows, POST changes, DELETE empties."""
        try:
            value = json.loads(request.body) if request.body.strip() else {}
            call = getattr(self, f"{request.method.lower()}_{request.path.removeprefix('/emulator/').replace('/', '_')}", None)
            if call is None:
                return Reply.of_json({"error": f"no {request.method} {request.path}"}, 404)
            with self.emulator.lock:
                return Reply.of_json(call(value))
        except (KeyError, ValueError, TypeError) as problem:
            return Reply.of_json({"error": f"{type(problem).__name__}: {problem}"}, 400)
        except (errors.Refused, errors.SignInRefused) as refused:
            return Reply.of_json({"error": str(refused)}, 400)

    # Faults, time, settings

    def get_faults(self, _):
        return {"hits": self.emulator.faults.hits, "rules": [rule.shown() for rule in self.emulator.faults.rules]}

    def post_faults(self, values):
        self.emulator.faults.add(values)
        return self.get_faults(None)

    def delete_faults(self, _):
        self.emulator.faults.rules = []
        return {}

    def get_clock(self, _):
        return {"now": self.emulator.clock.now(), "frozen": self.emulator.clock.frozen_at is not None}

    def post_clock(self, values):
        """`{"frozen": true}` and `{"advance": 3600}`."""
        if "frozen" in values:
            self.emulator.clock.freeze(values["frozen"])
        self.emulator.clock.advance(values.get("advance", 0))
        return self.get_clock(None)

    def get_settings(self, _):
        return vars(self.emulator.settings)

    def post_settings(self, values):
        self.emulator.settings.change(values)
        return self.get_settings(None)

    def get_requests(self, _):
        return self.emulator.requests

    def delete_requests(self, _):
        self.emulator.requests = []
        return {}


class Control(Steering):
    # What is there

    def get_files(self, _):
        return self.emulator.drive.shown()

    def post_files(self, values):
        """A file of another client: `name`, and `project`, `parents`, `text` or `base64`, `mimeType`, `properties`."""
        drive = self.emulator.drive
        contents = drive.contents(base64.b64decode(values["base64"]) if "base64" in values else values.get("text", "").encode())
        parents = [{"root": "0AEmulatorRootPVA"}.get(one, one) for one in values.get("parents", ["root"])]
        space = drive.files[parents[0]].space
        file = drive.made(
            None, values["name"], values.get("mimeType", "application/octet-stream"), space, values.get("project", "222222222222"),
            parents=parents, contents=contents, properties=values.get("properties", {}))
        drive.put(file)
        return {"id": file.id}

    def post_duplicate(self, values):
        """The file with this `id`, or all with this `name`, once more; `text` gives the copy other bytes."""
        drive = self.emulator.drive
        found = [file for file in drive.files.values() if file.id == values.get("id") or file.name == values.get("name")]
        changes = {"contents": drive.contents(values["text"].encode())} if "text" in values else {}
        return {"ids": [writing.duplicate(drive, file, **changes).id for file in found]}

    def post_file(self, values):
        """Changes the file with this `id`: `abusive`, `trashed`, `corrupt` (one byte becomes another one), `delete`."""
        drive, file = self.emulator.drive, self.emulator.drive.files[values["id"]]
        if values.get("delete"):
            drive.remove(file.id)
            return {}
        for name in ("abusive", "trashed"):
            if name in values:
                setattr(file, name, values[name])
        if values.get("corrupt"):
            bytes_ = bytearray(file.contents.read())
            bytes_[len(bytes_) // 2] ^= 1
            file.contents = drive.contents(bytes(bytes_))
        drive.put(file)
        return {}

    # Sign-ins

    def post_token(self, values):
        """A sign-in without a browser: `scope`, `client`."""
        client = values.get("client", self.emulator.settings.clients[0]["id"])
        self.emulator.grants.client(client)
        scopes = values.get("scope", "https://www.googleapis.com/auth/drive.file").split()
        return self.emulator.grants.answer(self.emulator.grants.sign_in(client, scopes), refresh_too=True)

    def post_oauth(self, values):
        """`expireAccessTokens`, `revoke` (true, or one project), `disconnect` (a project: its hidden folder goes too)."""
        grants, drive = self.emulator.grants, self.emulator.drive
        if values.get("expireAccessTokens"):
            grants.expire_access()
        if values.get("revoke"):
            grants.end_project(None if values["revoke"] is True else values["revoke"])
        if project := values.get("disconnect"):
            grants.end_project(project)
            drive.remove(drive.app_folder(project))
        return {}

    def get_oauth(self, _):
        return {"grants": [{"client": one.client, "scopes": one.scopes} for one in self.emulator.grants.grants.values()],
                "devices": [{"user_code": one.user_code, "answer": one.answer} for one in self.emulator.grants.devices.values()]}

    def post_device(self, values):
        """The person types the device's code: `user_code` (else the newest), `answer` "allow" or "deny"."""
        devices = list(self.emulator.grants.devices.values())
        code = values.get("user_code") or (devices[-1].user_code if devices else "")
        return {"answered": self.emulator.oauth.answer_device(code, values.get("answer", "allow"))}
