"""Google's own client for Python, unchanged, at the Drive emulator."""

import json
import os

from drive_emulator.client import DESKTOP
from drive_emulator.settings import DRIVE
from server import Missing


def drive(steer, scope=f"{DRIVE}.file", tokens=None):
    """`steer` is the emulator's `Client`. Without `tokens` a new sign-in of the same person and project."""
    try:
        from google.oauth2.credentials import Credentials
        from googleapiclient import discovery
        from googleapiclient.discovery_cache import DISCOVERY_DOC_DIR
    except ImportError:
        raise Missing("google-api-python-client is not installed (scripts/setup --clouds)") from None
    tokens = tokens or steer.control("token", {"scope": scope})
    # An option for another endpoint leaves uploads at Google: the document itself says where everything is.
    with open(os.path.join(DISCOVERY_DOC_DIR, "drive.v3.json"), encoding="utf-8") as file:
        document = json.load(file)
    document |= {"rootUrl": f"{steer.address}/", "baseUrl": f"{steer.address}/drive/v3/"}
    credentials = Credentials(
        tokens["access_token"], refresh_token=tokens["refresh_token"], token_uri=f"{steer.address}/token", **DESKTOP)
    return discovery.build_from_document(document, credentials=credentials)
