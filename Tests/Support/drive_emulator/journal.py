"""What outlives the process when the emulator has a folder: one line for each change, the last of each key counts."""

import json
import os


class Journal:
    """Does nothing without a folder."""

    def __init__(self, folder):
        self.path = folder and os.path.join(folder, "journal.jsonl")
        self.entries = {}
        if folder:
            os.makedirs(folder, exist_ok=True)
            self.load()
            self.file = open(self.path, "a", encoding="utf-8")

    def load(self):
        if not os.path.exists(self.path):
            return
        with open(self.path, encoding="utf-8") as file:
            for line in file:
                if not line.endswith("\n"):
                    break  # cut by the end of the process
                kind, key, value = json.loads(line)
                self.entries[kind, key] = value
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            for (kind, key), value in self.entries.items():
                if value is not None:
                    file.write(json.dumps([kind, key, value]) + "\n")
        os.replace(self.path + ".new", self.path)

    def of(self, kind):
        return {key: value for (found, key), value in self.entries.items() if found == kind and value is not None}

    def put(self, kind, key, value):
        if self.path:
            self.file.write(json.dumps([kind, key, value]) + "\n")
            self.file.flush()

    def close(self):
        if self.path:
            self.file.close()
