"""Where fastmnist may keep what it can do without."""

from pathlib import Path

import platformdirs


def user_cache() -> Path | None:
    """Return fastmnist's folder in the user's cache, None where HOME is unset and nobody else knows it."""
    try:
        folder = platformdirs.user_cache_path("fastmnist")
    except RuntimeError:
        return None
    return folder if folder.is_absolute() else None  # older versions return ~ as it is
