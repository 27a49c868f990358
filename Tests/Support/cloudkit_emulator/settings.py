"""What a test may set, by `/emulator/settings`."""

from dataclasses import dataclass, field


@dataclass
class Settings:
    container: str = "iCloud.org.example.coffer"
    apiToken: str = "c0ffee00emulator"
    # Where the sign-in page sends people, as it is written down when an API token is made; None shows the token in the page.
    callback: str | None = None
    webTokenSeconds: float = 1800
    # "Keep me signed in".
    keptSeconds: float = 14 * 86400
    # Apple's reference says so; somebody found that older ones go on on Apple's servers (MistKit, issue 462).
    singleUse: bool = True
    quotaBytes: int | None = 5 * 1024**3
    operationsMax: int = 200
    recordsMax: int = 200
    recordBytesMax: int = 1_000_000
    # The reference says 50 MB; people find 15.
    assetBytesMax: int = 15 * 1024 * 1024
    uploadSeconds: float = 900
    downloadSeconds: float = 3600
    # Fields with an index; without `recordName` among them records of a type cannot be listed.
    queryable: list = field(default_factory=list)
    # How long a change is not seen by queries; changes of a zone are never late.
    lagSeconds: float = 0

    def change(self, values):
        for name, value in values.items():
            if name not in self.__dataclass_fields__:
                raise KeyError(name)
            setattr(self, name, value)
