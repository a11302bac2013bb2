"""Where the logs of the demo are."""

from importlib.resources import files
from pathlib import Path

from battlife.errors import InputError


def demo_folder() -> Path:
    """Return the folder of shipped logs: in the wheel, or beside a source checkout.

    Raises
    ------
    InputError
        The package was installed without them.
    """
    package = Path(str(files("battlife")))
    for folder in (
        package / "_datasets" / "demo",
        package.parents[1] / "datasets" / "demo",
    ):
        if folder.is_dir():
            return folder
    raise InputError(
        "the demo logs are not part of this installation",
        "install battlife from a wheel or a checkout",
    )
