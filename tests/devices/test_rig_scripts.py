"""The examples of docs/rig-scripts.md run as they stand, on a simulated device."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from battlife.simulate import running

DOCS = Path(__file__).parents[2] / "docs" / "rig-scripts.md"
BLOCKS = re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="a pseudo-terminal needs POSIX"
)


def test_there_are_three_of_at_most_ten_lines():
    assert len(BLOCKS) == 3
    assert all(len(block.strip().splitlines()) <= 10 for block in BLOCKS)


@pytest.mark.parametrize("number", range(3))
def test_an_example_runs(number, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with running("jbd_uart", seed=1) as device:
        target = f"jbd_uart@{device.channel}"
        Path("rig.toml").write_text(
            f'[rig]\nname = "bench"\n[[device]]\nname = "pack"\n'
            f'target = "{target}"\nperiod_s = 0.5\n'
            "[limits]\ncell_voltage_max_v = 4.3\n"
        )
        exec(compile(BLOCKS[number], str(DOCS), "exec"), {"TARGET": target})
        assert device.writes == ()
    printed = capsys.readouterr().out.splitlines()
    if number == 0:
        assert re.match(r"1\d\.\d+ \(3\.\d+, ", printed[0])
    elif number == 1:
        assert len(printed) == 3 and all(line.endswith(" 0") for line in printed)
    else:
        assert printed[0].startswith("out.h5 ") and Path("out.h5").exists()


def test_a_rig_script_loads_nothing_heavy():
    """asammdf, an extra, makes python-can load pandas: it is left out here."""
    code = (
        "import sys; sys.modules['asammdf'] = None\n"
        "import battlife; battlife.open; battlife.record\n"
        "import battlife.drivers.can_bus, battlife.wire\n"
        "battlife.wire.protocol('leaf'); battlife.wire.protocol('jbd_uart')\n"
        "import can\n"
        "heavy = {'numba', 'pandas', 'matplotlib', 'scipy', 'h5py'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("protocol", ["jbd_uart", "leaf", "daly_modbus"])
def test_a_reading_needs_neither_numpy_nor_a_search_of_all_packages(protocol):
    """A serial line and a CAN bus; python-can searches packages of its own accord."""
    code = (
        "import sys; sys.modules['asammdf'] = None\n"
        "import battlife\n"
        "with battlife.open(sys.argv[1]) as pack:\n"
        "    values = pack.read().values\n"
        "heavy = {'numpy', 'numba', 'pandas', 'scipy', 'h5py', 'cantools'}\n"
        "heavy |= {'pymodbus', 'udsoncan'}\n"
        "heavy |= set() if 'can:/' in sys.argv[1] else {'can', 'email', 'asyncio'}\n"
        "print(sorted(heavy & set(sys.modules)), 'cell_voltage_v' in values)"
    )
    with running(protocol, seed=1) as device:
        done = subprocess.run(
            [sys.executable, "-c", code, f"{protocol}@{device.channel}"],
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout.strip() == "[] True"
