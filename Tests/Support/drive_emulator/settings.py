"""What a test may set about the whole account, by `/emulator/settings`."""

from dataclasses import dataclass, field

DRIVE = "https://www.googleapis.com/auth/drive"


@dataclass
class Settings:
    # The account's room; None is unlimited.
    quotaBytes: int | None = 15 * 1024**3
    dailyUploadBytes: int | None = 750 * 10**9
    childrenMax: int = 500_000
    # How long a change is not seen by lists.
    lagSeconds: float = 0
    pageSizeMax: int = 1000
    pageTokenSeconds: float = 6 * 3600
    uploadSeconds: float = 7 * 86400
    # Larger multipart and media uploads are refused; Google writes 5 MB and takes more.
    simpleBytesMax: int | None = None
    # An identifier whose file was deleted stays taken.
    deletedStayTaken: bool = True
    accessTokenSeconds: float = 3599
    # 604,800 for a client whose consent screen is in "Testing".
    refreshTokenSeconds: float | None = None
    rotateRefreshTokens: bool = False
    # Whether a revocation ends all sign-ins of the project and the person, or one.
    revokeAll: bool = False
    # "ask": a page with two links; "allow" and "deny" answer at once.
    consent: str = "ask"
    deviceSeconds: float = 1800
    deviceIntervalSeconds: float = 5
    # Google's page names drive.appdata too; people report that the endpoint refuses it (October 2026).
    deviceScopes: list = field(default_factory=lambda: [f"{DRIVE}.file", "openid", "email", "profile"])
    clients: list = field(default_factory=lambda: [
        {"id": "111111111111-desktop.apps.googleusercontent.com", "secret": "GOCSPX-emulator-desktop", "type": "desktop"},
        {"id": "111111111111-tv.apps.googleusercontent.com", "secret": "GOCSPX-emulator-tv", "type": "tv"},
        {"id": "222222222222-other.apps.googleusercontent.com", "secret": "GOCSPX-emulator-other", "type": "desktop"},
    ])

    def change(self, values):
        for name, value in values.items():
            if name not in self.__dataclass_fields__:
                raise KeyError(name)
            setattr(self, name, value)
