"""What tests say to the emulator."""

import json
import unittest
import urllib.parse

from drive_emulator.client import Client as Plain

from .emulator import NEXT_TOKEN, start

ZONE = {"zoneName": "coffer"}


class Client(Plain):
    """One device: it keeps the token of its next request, as each answer brings it."""

    def __init__(self, address, settings):
        super().__init__(address)
        self.settings = settings
        self.web_token = self.control("token", {})["ckWebAuthToken"]

    def op(self, operation, body=None, token=None, method="POST", **path):
        query = {"ckAPIToken": self.settings.apiToken}
        token = token or self.web_token
        if token:
            query["ckWebAuthToken"] = token
        place = "/database/1/{container}/{environment}/{database}/".format(
            **{"container": self.settings.container, "environment": "development", "database": "private"} | path)
        answer = self.call(method, place + operation, json.dumps(body or {}).encode(), {"Content-Type": "application/json"}, query)
        self.web_token = answer.headers.get(NEXT_TOKEN, self.web_token)
        return answer

    def make_zone(self, name="coffer"):
        return self.op("zones/modify", {"operations": [{"operationType": "create", "zone": {"zoneID": {"zoneName": name}}}]})

    def modify(self, *operations, **more):
        return self.op("records/modify", {"zoneID": ZONE, "operations": list(operations)} | more)

    def upload(self, name, content, field="content"):
        """The asset dictionary for a record's field."""
        wanted = {"zoneID": ZONE, "tokens": [{"recordName": name, "recordType": "Object", "fieldName": field}]}
        url = self.op("assets/upload", wanted).json["tokens"][0]["url"]
        return self.send(url, content).json["singleFile"]

    def send(self, url, content):
        parts = urllib.parse.urlsplit(url)
        return Plain(f"http://{parts.netloc}").call("POST", parts.path, content)

    def fetch(self, url, **headers):
        url = url.replace("${f}", "content")
        parts = urllib.parse.urlsplit(url)
        return Plain(f"http://{parts.netloc}").call("GET", f"{parts.path}?{parts.query}", headers=headers)

    def lookup(self, *names):
        return self.op("records/lookup", {"zoneID": ZONE, "records": [{"recordName": name} for name in names]}).json["records"]


def create(name, kind="create", tag=None, **fields):
    record = {"recordName": name, "recordType": "Object", "fields": {key: {"value": value} for key, value in fields.items()}}
    return {"operationType": kind, "record": record | ({"recordChangeTag": tag} if tag else {})}


class EmulatorTest(unittest.TestCase):
    settings = {}

    def setUp(self):
        self.running = start(settings=self.settings)
        self.addCleanup(self.running.stop)
        self.me = self.device()
        self.me.make_zone()

    def device(self):
        return Client(self.running.address, self.running.emulator.settings)

    def refused(self, answer, status, code):
        self.assertEqual((answer.status, answer.json["serverErrorCode"]), (status, code))
        return answer

    def codes(self, answer):
        return [record.get("serverErrorCode") for record in answer.json["records"]]
