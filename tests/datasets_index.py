"""Regenerate datasets/index.toml: ``python tests/datasets_index.py``.

A folder of the table below says where its files come from; a file without one stops
the run, so nothing gets in without origin and licence.
"""

import csv
import hashlib
import json
import sys
import tomllib
from pathlib import Path
from typing import Any

from support import DATASETS, SHARED

INDEX = DATASETS / "index.toml"

OWN = ("battlife", "Apache-2.0", "licences/Apache-2.0.txt")

# Longest matching prefix wins: (origin, licence, notice).
ORIGINS = {
    "demo/nasa/": (
        "NASA Ames Prognostics Data Repository, Battery Data Set (Saha, Goebel 2007)",
        "US Government work",
        "licences/nasa_pcoe.txt",
    ),
    "nasa_pcoe/": (
        "NASA Ames Prognostics Data Repository, Battery Data Set (Saha, Goebel 2007)",
        "US Government work",
        "licences/nasa_pcoe.txt",
    ),
    "demo/leaf_ornl/": (
        "github.com/batterysim/nissan-leaf-data, doi 10.5281/zenodo.2580327",
        "MIT",
        "licences/leaf_ornl-MIT.txt",
    ),
    "leaf_ornl/": (
        "github.com/batterysim/nissan-leaf-data, doi 10.5281/zenodo.2580327",
        "MIT",
        "licences/leaf_ornl-MIT.txt",
    ),
    "half_cells/": (
        "PyPI ampworks 0.1.0 (NREL): half cells and full cells for dQ/dV fits",
        "BSD-3-Clause",
        "licences/ampworks-BSD-3-Clause.txt",
    ),
    "demo/pulsebat/": (
        "github.com/terencetaothucb/Pulse-Voltage-Response-Generation",
        "MIT",
        "licences/pulsebat-MIT.txt",
    ),
    "pulsebat/": (
        "github.com/terencetaothucb/Pulse-Voltage-Response-Generation",
        "MIT",
        "licences/pulsebat-MIT.txt",
    ),
    "demo/arbin/": (
        "github.com/jepegit/cellpy examples/data",
        "MIT",
        "licences/cellpy-MIT.txt",
    ),
    "demo/neware/": (
        "github.com/g-kimbell/fastnda tests/test_data",
        "BSD-3-Clause",
        "licences/fastnda-BSD-3-Clause.txt",
    ),
    "cycler_exports/": (
        "github.com/jepegit/cellpy testdata",
        "MIT",
        "licences/cellpy-MIT.txt",
    ),
    "captures/jbd/": (
        "github.com/syssi/esphome-jbd-bms docs",
        "Apache-2.0",
        "licences/Apache-2.0.txt",
    ),
    "captures/evdash/": (
        "github.com/nickn17/evDash loadTestData()",
        "MIT",
        "licences/evDash-MIT.txt",
    ),
    "captures/kona/": (
        "github.com/projectgus/hyundai-kona-ev-can-logs",
        "CC0-1.0",
        "licences/kona-logs-CC0-1.0.txt",
    ),
    "drive_hppc/samsung_inr21700/": (
        "github.com/pybop-team/PyBOP examples/data",
        "BSD-3-Clause",
        "licences/pybop-BSD-3-Clause.txt",
    ),
    "drive_hppc/lgm50_5Ah/": (
        "github.com/pybop-team/PyBOP examples/data",
        "BSD-3-Clause",
        "licences/pybop-BSD-3-Clause.txt",
    ),
    "bus_logs/kona/pcan.dbc": (
        "github.com/projectgus/kona-ev-dbc",
        "MIT",
        "licences/kona-ev-dbc-MIT.txt",
    ),
    "bus_logs/kona/": (
        "github.com/projectgus/hyundai-kona-ev-can-logs",
        "CC0-1.0",
        "licences/kona-logs-CC0-1.0.txt",
    ),
    "bus_logs/savvycan/": (
        "github.com/collin80/SavvyCAN examples, the first frames of each log",
        "MIT",
        "licences/SavvyCAN-MIT.txt",
    ),
    "drive_hppc/": (
        "PyPI ampworks 0.1.0",
        "BSD-3-Clause",
        "licences/ampworks-BSD-3-Clause.txt",
    ),
}

# Repository of an export (exports/index.csv) to its notice.
NOTICES = {
    "jepegit/cellpy": "licences/cellpy-MIT.txt",
    "be-smith/navani": "licences/navani-MIT.txt",
    "ECSHackWeek/impedance.py": "licences/impedance.py-MIT.txt",
    "bcliang/gamry-parser": "licences/gamry-parser-MIT.txt",
    "EmpaEconversion/aurora-cycler-manager": "licences/aurora-cycler-manager-MIT.txt",
    "ImperialCollegeLondon/PyProBE": "licences/PyProBE-BSD-3-Clause.txt",
    "g-kimbell/fastnda": "licences/fastnda-BSD-3-Clause.txt",
    "collin80/SavvyCAN": "licences/SavvyCAN-MIT.txt",
    "CSS-Electronics/api-examples": "licences/css-api-examples-MIT.txt",
    "Solid-Energy-Systems/NewareNDA": "licences/NewareNDA-BSD-3-Clause.txt",
    "NatLabRockies/ampworks": "licences/ampworks-BSD-3-Clause.txt",
}

# Rows as counted by others: README of the data sets, or by line count.
N_ROWS = {
    "1C-Discharge-Bitrode-data.csv": 2287,
    "Temperature-1C-discharge.lvm": 22043,
    "20160805_test001_45_cc_01.res": 10261,
    "20260302_IFE_BTS85_2_9_8_1.ndax": 252951,
    "test.ndax": 1464,
    "00_test_04_MB_C01.mpr": 1501,
}


def files() -> list[Path]:
    """Return every file of datasets except the index itself."""
    return sorted(p for p in DATASETS.rglob("*") if p.is_file() and p != INDEX)


def _exports() -> dict[str, dict[str, str]]:
    listing = SHARED / "exports" / "index.csv"
    with listing.open(encoding="utf-8", newline="") as file:
        return {Path(row["path"]).name: row for row in csv.DictReader(file)}


def entries() -> list[dict[str, object]]:
    """Return one entry per file, in path order."""
    exports = _exports()
    found = []
    for path in files():
        name = path.relative_to(DATASETS).as_posix()
        data = path.read_bytes()
        row = exports.get(path.name)
        prefix = max((p for p in ORIGINS if name.startswith(p)), key=len, default="")
        if (
            name.startswith("licences/")
            or path.suffix == ".toml"
            or path.suffix == ".md"
        ):
            origin, licence, notice = OWN
            if name.startswith("licences/"):
                origin, licence = "notice of a source", "verbatim"
        elif row is not None:
            if "GPL" in row["licence"]:
                sys.exit(f"{name}: {row['licence']} must not be copied here")
            origin = f"github.com/{row['source_repo']} {row['source_path']}"
            licence = row["licence"]
            notice = NOTICES.get(row["source_repo"], "licences/Apache-2.0.txt")
            if licence != "Apache-2.0" and row["source_repo"] not in NOTICES:
                sys.exit(f"{name}: no notice for {row['source_repo']}")
        elif prefix:
            origin, licence, notice = ORIGINS[prefix]
        else:
            sys.exit(f"{name}: origin unknown; add it to tests/datasets_index.py")
        if not (DATASETS / notice).is_file():
            sys.exit(f"{name}: its notice {notice} is missing")
        entry: dict[str, object] = {
            "path": name,
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "origin": origin,
            "licence": licence,
            "notice": notice,
        }
        if row is not None and row["n_rows"]:
            entry["n_rows"] = int(row["n_rows"])
        elif path.name in N_ROWS:
            entry["n_rows"] = N_ROWS[path.name]
        found.append(entry)
    return found


def load() -> Any:
    """Return the entries as index.toml has them."""
    return tomllib.loads(INDEX.read_text("utf-8"))["file"]


def main() -> None:
    lines = [
        "# Every file of this folder: origin, licence, hash. Regenerate with",
        "# python tests/datasets_index.py (needs the shared data at hand).",
    ]
    for entry in entries():
        lines.append("\n[[file]]")
        lines.extend(
            f"{key} = {json.dumps(value, ensure_ascii=False)}"
            for key, value in entry.items()
        )
    INDEX.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
