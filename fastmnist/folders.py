"""The folder for files that fastmnist can do without: its cache."""

from pathlib import Path

import platformdirs


def user_cache() -> Path | None:
    """Return fastmnist's folder in the user's cache; None if HOME is unset and can't be determined otherwise."""
    try:
        folder = platformdirs.user_cache_path("fastmnist")
    except RuntimeError:
        return None
    return folder if folder.is_absolute() else None  # older versions return ~ as it is
