"""The images of a release: the same from any place, and what their manifest says."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cell_bridge import HASH
from toolchain import FIRMWARE

BOARDS = {"m328p": "atmega328p", "m2560": "atmega2560"}


def released(tree: Path, build: Path, *options: str) -> Path:
    command = ["make", "-s", "-C", str(tree), "release", f"BUILD={build}"]
    command += [f"PYTHON={sys.executable}", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return build / "release"


@pytest.fixture(scope="module")
def release(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return released(FIRMWARE, tmp_path_factory.mktemp("release"))


def test_a_second_build_elsewhere_is_the_same(release: Path, tmp_path: Path) -> None:
    tree = tmp_path / "somewhere" / "firmware_bridges"
    shutil.copytree(FIRMWARE, tree, ignore=shutil.ignore_patterns("build"))
    shutil.copy(FIRMWARE.parent / "pyproject.toml", tree.parent)
    again = released(tree, tree / "build")
    assert {file.name for file in again.iterdir()} == {
        file.name for file in release.iterdir()
    }
    for file in release.iterdir():
        assert file.read_bytes() == (again / file.name).read_bytes(), file.name


def test_hashes_are_those_of_the_files(release: Path) -> None:
    rows = (release / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (row.split("  ") for row in rows)}
    assert set(sums) == {f.name for f in release.iterdir()} - {"SHA256SUMS"}
    for name, digest in sums.items():
        assert hashlib.sha256((release / name).read_bytes()).hexdigest() == digest
    check = ["sha256sum", "--check", "--quiet", "SHA256SUMS"]
    assert subprocess.run(check, cwd=release, check=False).returncode == 0


def test_the_manifest_says_what_each_image_is(release: Path) -> None:
    manifest = json.loads((release / "manifest.json").read_text())
    assert manifest["protocol"] == f"{HASH:08X}"
    assert manifest["compiler"].startswith("avr-gcc")
    images = manifest["images"]
    assert {image["file"] for image in images} == {
        file.name for file in release.glob("*.hex")
    }
    kinds = {
        (image["app"], image["board"], image.get("can_crystal_mhz")) for image in images
    }
    assert kinds == {
        *((("cell_bridge"), board, None) for board in BOARDS),
        *(("slcan_bridge", board, mhz) for board in BOARDS for mhz in (8, 16)),
    }
    assert len(images) == len(kinds) == len({image["sha256"] for image in images})
    for image in images:
        data = (release / image["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == image["sha256"]
        assert image["processor"] == BOARDS[image["board"]]
        assert image["file"].endswith(f"-{HASH:08X}.hex")
        assert len(contents(data.decode())) == image["flash_bytes"]


def test_what_is_released_is_what_runs_in_emulation(built: Path, release: Path) -> None:
    for image in json.loads((release / "manifest.json").read_text())["images"]:
        if image.get("can_crystal_mhz", 16) != 16:
            continue
        elf = built / image["board"] / f"{image['app']}.elf"
        command = ["avr-objcopy", "-O", "ihex", "-R", ".eeprom", elf, "/dev/stdout"]
        done = subprocess.run(command, capture_output=True, check=True)
        assert hashlib.sha256(done.stdout).hexdigest() == image["sha256"]


def test_other_options_are_built_anew(built: Path, tmp_path: Path) -> None:
    def elf(*options: str) -> bytes:
        target = tmp_path / "m328p" / "cell_bridge.elf"
        command = ["make", "-s", "-C", str(FIRMWARE), f"BUILD={tmp_path}", str(target)]
        subprocess.run([*command, *options], check=True, capture_output=True)
        return target.read_bytes()

    fast = elf()
    assert elf("BAUD=115200") != fast
    assert elf() == fast


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "-c arduino -p atmega328p -P /dev/ttyUSB0 -b 115200"),
        (("BOARD=m2560",), "-c wiring -p atmega2560 -P /dev/ttyUSB0 -b 115200"),
        (("FLASH_BAUD=57600",), "-p atmega328p -P /dev/ttyUSB0 -b 57600"),
        (("BAUD=500000",), "-b 115200"),  # of the firmware, not of the bootloader
    ],
)
def test_the_bootloaders_speed_is_an_option(
    built: Path, options: tuple[str, ...], says: str
) -> None:
    command = ["make", "-n", "-C", str(FIRMWARE), "flash", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert says in done.stdout


def contents(text: str) -> bytes:
    """Return the bytes of an Intel hex file without gaps; checksums must be right."""
    data = b""
    for row in text.splitlines():
        line = bytes.fromhex(row.removeprefix(":"))
        assert sum(line) & 0xFF == 0
        count, kind = line[0], line[3]
        if kind == 0:
            assert int.from_bytes(line[1:3]) == len(data) & 0xFFFF
            data += line[4 : 4 + count]
    return data
