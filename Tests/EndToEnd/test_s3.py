"""A whole backup in a bucket of a real S3 server, over a line that fails; and who may know the key of the bucket."""

import json
import random
import stat
import unittest

import boto3
import botocore.exceptions
import s3_server
from fault_proxy import FaultProxy
from session import Session

KEY_ID = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


class S3(Session):
    @classmethod
    def setUpClass(cls):
        cls.server, cls.address = s3_server.start()
        cls.addClassCleanup(cls.server.stop)

    credentials = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}

    def environment(self, device="phone"):
        environment = {name: value for name, value in super().environment(device).items() if not name.startswith("AWS_")}
        return environment | self.credentials

    def store(self, name=None, address=None):
        return f"s3:{address or self.address}/coffer/{name or self.id().rsplit('.')[-1]}"

    def objects(self, store):
        prefix = store.split("/coffer/")[1]
        return sorted(
            key.name for bucket in [self.server_backend().buckets["coffer"]] for key in bucket.keys.values()
            if key.name.startswith(prefix + "/"))

    @staticmethod
    def server_backend():
        from moto.s3.models import s3_backends
        return s3_backends["123456789012"]["aws"]

    def test_backup_restore_verify_prune_over_a_bad_line(self):
        line = FaultProxy(self.address, busy=(503, b"<Error><Code>SlowDown</Code></Error>"))
        self.addCleanup(line.stop)
        store = self.store(address=line.address)
        source = self.make_notes()
        (source / "film.mp4").write_bytes(random.Random(1).randbytes(20_000_000))
        self.coffer("enable", source, "--to", store, "--key-file", "digits")
        self.coffer("backup")
        (source / "note 1.txt").write_text("another\n")
        self.coffer("backup")
        self.assertIn("all sound", self.coffer("verify", "--deep"))
        self.coffer("restore", "--from", store, "--key-file", "digits", "Restored", device="new-phone")
        self.compare(source, self.folder / "Restored")
        self.coffer("prune", "--keep-last", "1", "--grace", "0")
        self.assertIn("all sound", self.coffer("verify", "--deep"))
        self.assertGreater(line.fault_count, 5)
        for method, path, headers in line.seen:
            headers = {name.lower(): value for name, value in headers.items()}
            self.assertNotIn("aws-chunked", headers.get("content-encoding", ""))
            self.assertNotIn("transfer-encoding", headers)
            if method == "PUT":
                self.assertRegex(headers["x-amz-content-sha256"], "^[0-9a-f]{64}$")
        self.coffer("disable", "--delete-store", "--yes")
        self.assertEqual(self.objects(store), [])

    def test_a_bucket_with_object_lock_gives_back_what_was_deleted(self):
        bucket = boto3.client(
            "s3", endpoint_url=self.address, aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET,
            region_name="us-east-1")
        bucket.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
        bucket.put_object_lock_configuration(Bucket="locked", ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 30}}})
        source, store = self.make_notes(), f"s3:{self.address}/locked/phone"
        kept = "keeps old versions"
        self.assertIn(kept, self.coffer("enable", source, "--to", store, "--key-file", "digits"))
        self.coffer("backup")
        (source / "note 1.txt").write_text("another\n")
        self.coffer("backup")
        self.assertIn(kept, self.coffer("prune", "--keep-last", "1", "--grace", "0"))
        self.assertIn(kept, self.coffer("disable", "--delete-store", "--yes"))
        self.error("restore", "--from", store, "--key-file", "digits", "Restored", expect=20)
        versions = bucket.list_object_versions(Bucket="locked", Prefix="phone/")
        for version in versions["Versions"]:
            with self.assertRaises(botocore.exceptions.ClientError):
                bucket.delete_object(Bucket="locked", Key=version["Key"], VersionId=version["VersionId"])
        for marker in versions["DeleteMarkers"]:
            bucket.delete_object(Bucket="locked", Key=marker["Key"], VersionId=marker["VersionId"])
        self.coffer("restore", "--from", store, "--key-file", "digits", "Restored")
        self.compare(source, self.folder / "Restored")

    def test_moving_from_a_folder_to_a_bucket_and_refusing_what_is_there(self):
        source, store = self.make_notes(), self.store()
        self.coffer("enable", source, "--to", "cloud", "--key-file", "digits")
        self.coffer("backup")
        self.coffer("move", "--to", store + "/")
        self.assertEqual(self.coffer_json("status")["store"], store)
        settings = json.loads((self.folder / "homes/phone/state/coffer/settings.json").read_text())
        self.assertEqual(settings["capabilities"], {"refusesToReplace": True, "keepsDeleted": False})
        self.assertEqual([name for name in self.objects(store) if "coffer-probe" in name], [])
        self.error("move", "--to", store, expect=28)
        self.error("enable", source, "--to", store, "--key-file", "other", device="tablet", expect=28)
        self.coffer("enable", source, "--to", store, "--key-file", "digits", "--join", device="tablet")
        self.coffer("backup", device="tablet")
        self.assertEqual(len(self.coffer_json("snapshots")["snapshots"]), 2)

    def test_the_key_is_kept_by_login_and_nowhere_else(self):
        source, store = self.make_notes(), self.store()
        self.credentials = {}
        said = self.error("enable", source, "--to", store, "--key-file", "digits", expect=37)
        self.assertIn("coffer store login", said["advice"])
        key = self.secret_file("key", f"{KEY_ID}\n{SECRET}\n")
        self.coffer("store", "login", store, "--credentials-file", key)
        self.assertEqual(
            self.coffer_json("store", "list"),
            [{"store": f"{self.address}/coffer", "name": KEY_ID, "keptIn": "file"}])
        self.coffer("enable", source, "--to", store, "--key-file", "digits")
        state = self.folder / "homes/phone/state/coffer"
        # As it was written when there were buckets alone.
        known = state / "store-sign-ins.json"
        known.write_text(known.read_text().replace('"name"', '"accessKeyID"'))
        self.assertEqual(self.coffer_json("store", "list")[0]["name"], KEY_ID)
        self.coffer("backup")
        holders = [path for path in self.files_below(state) if SECRET.encode() in path.read_bytes()]
        self.assertEqual([path.name[:13] for path in holders], ["store-secret-"])
        self.assertEqual(stat.S_IMODE(holders[0].stat().st_mode), 0o600)
        self.assertNotIn(SECRET, json.dumps(self.printed))
        for key in self.server_backend().buckets["coffer"].keys.values():
            self.assertNotIn(SECRET.encode(), key.value)
        self.coffer("store", "logout", store)
        self.assertFalse(holders[0].exists())
        self.error("backup", expect=37)
        self.error("store", "logout", store, expect=37)

    def test_a_key_that_is_kept_goes_before_one_of_the_environment(self):
        line = FaultProxy(self.address, share=0)
        self.addCleanup(line.stop)
        store, source = self.store(address=line.address), self.make_notes()
        self.coffer("store", "login", store, "--credentials-file", self.secret_file("key", f"{KEY_ID}\n{SECRET}\n"))
        self.credentials = {"AWS_ACCESS_KEY_ID": "AKIAOFANOTHERBUCKET0", "AWS_SECRET_ACCESS_KEY": "x" * 40, "AWS_SESSION_TOKEN": "t"}
        self.coffer("enable", source, "--to", store, "--key-file", "digits")
        self.coffer("backup")
        for _, _, headers in line.seen:
            headers = {name.lower(): value for name, value in headers.items()}
            self.assertIn(f"Credential={KEY_ID}/", headers["authorization"])
            self.assertNotIn("x-amz-security-token", headers)
        self.coffer("store", "logout", store)
        line.seen.clear()
        self.coffer("verify")
        self.assertIn("Credential=AKIAOFANOTHERBUCKET0/", line.seen[-1][2]["authorization"])

    def test_addresses_that_say_the_wrong_thing_are_refused_and_not_repeated(self):
        source = self.make_notes()
        for address in [f"s3:https://{KEY_ID}:{SECRET}@host/coffer", f"s3:https://host/coffer?secret={SECRET}",
                        "s3:http://nas.example.org/coffer", "s3:https://host", "s3:coffer",
                        f"S3:https://{KEY_ID}:{SECRET}@host/coffer", " s3:https://host/coffer", "sftp:me@host:/srv", "b2:mine"]:
            self.error("enable", source, "--to", address, "--key-file", "digits", expect=27)
            self.assertNotIn(SECRET, json.dumps(self.printed))
        missing = f"s3:{self.address}/no-such-bucket"
        said = self.error("enable", source, "--to", missing, "--key-file", "digits", expect=25)
        self.assertIn("there is no bucket named no-such-bucket", said["message"])
        self.error("restore", "--from", self.store("nothing"), "--key-file", "digits", "Restored", expect=20)
        self.assertFalse((self.folder / "digits").exists())
        self.assertEqual([path.name for path in self.folder.iterdir() if ":" in path.name], [])


if __name__ == "__main__":
    unittest.main()
