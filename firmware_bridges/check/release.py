"""Gather the images of a release, with their hashes and what they are.

``make release`` runs it. Every image is checked as by ``make size`` first. The names
carry the protocol's hash, so that an image and a battlife that do not fit each other
are told apart before flashing. Nothing here depends on when or where it is built.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import image

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
DEFINITION = ROOT / "protocol" / "bridge_protocol.toml"
HEADER = ROOT / "core" / "include" / "bl_protocol.h"
MANIFEST, SUMS = "manifest.json", "SHA256SUMS"


def protocol_hash() -> str:
    """Return the hash that the firmware was compiled with."""
    (row,) = (r for r in HEADER.read_text().splitlines() if " BL_HASH " in r)
    return row.split()[-1].removeprefix("0x").removesuffix("UL")


def battlife_version() -> str:
    """Return the version of the battlife that the images belong to."""
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())
    return str(project["project"]["version"])


def compiler() -> str:
    """Return what compiled, by its own words."""
    done = subprocess.run(
        ["avr-gcc", "--version"], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[0]


def gather(folder: Path, builds: list[tuple[Path, int, int]]) -> list[str]:
    """Write a release into a new folder; return what is wrong with its images.

    Parameters
    ----------
    folder : is emptied first
    builds : folders of `make hex`, each with its baud and its crystal in MHz
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    known = image.budgets()
    entries: list[dict[str, Any]] = []
    wrong = []
    for build, baud, crystal_mhz in builds:
        for source in sorted(build.glob("*/*.hex")):
            board, app = source.parent.name, source.stem
            elf = source.with_suffix(".elf")
            device, budget = known["device"][board], known["budget"][app]
            taken = image.measured(elf, device)
            faults = image.over(taken, device, budget, known["rule"])
            wrong += [f"{source}: {f}" for f in faults + image.forbidden(elf)]
            name = f"{app}-{board}-{baud}baud"
            if app == "slcan_bridge":
                name += f"-{crystal_mhz}MHz"
            elif crystal_mhz != 16:
                continue  # it has no MCP2515: the same image again
            name += f"-{protocol_hash()}.hex"
            shutil.copyfile(source, folder / name)
            entry = {
                "file": name,
                "app": app,
                "board": board,
                "processor": device["processor"],
                "baud": baud,
                "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
                "flash_bytes": taken.flash,
                "static_ram_bytes": taken.static_ram,
                "stack_bytes": taken.stack,
            }
            if app == "slcan_bridge":
                entry["can_crystal_mhz"] = crystal_mhz
            entries.append(entry)
    entries.sort(key=lambda entry: str(entry["file"]))
    manifest = {
        "battlife": battlife_version(),
        "protocol": protocol_hash(),
        "compiler": compiler(),
        "images": entries,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    sums = "".join(
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n"
        for file in sorted(folder.iterdir())
    )
    (folder / SUMS).write_text(sums)
    return wrong


def main() -> int:
    """Read ``FOLDER BUILD:BAUD:CRYSTAL ...``; say what was made."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("build", nargs="+", help="BUILD:BAUD:CRYSTAL_MHZ")
    arguments = parser.parse_args()
    builds = []
    for text in arguments.build:
        build, baud, crystal_mhz = text.rsplit(":", 2)
        builds.append((Path(build), int(baud), int(crystal_mhz)))
    wrong = gather(arguments.folder, builds)
    for line in wrong:
        sys.stderr.write(line + "\n")
    if wrong:
        shutil.rmtree(arguments.folder)
        return 1
    sys.stdout.write((arguments.folder / SUMS).read_text())
    sys.stdout.write(f"in {arguments.folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
