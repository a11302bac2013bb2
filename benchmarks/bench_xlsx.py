"""Reading an Arbin workbook: battlife against pandas with openpyxl, same file.

The ratio includes our checks of the container (checksums, grid), which pandas skips.
"""

from pathlib import Path

import pytest

from battlife.readers.xlsx import READER

FILE = (
    Path(__file__).resolve().parent.parent
    / "datasets/exports/arbin_xlsx"
    / "bs542_004_gr_li_50ua_50mv_1v_191020_Channel_11.xlsx"
)
N = 4526


def read_battlife() -> int:
    (trace,) = READER.read(FILE)
    return trace.n_samples


def read_pandas() -> int:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("openpyxl")
    return len(pandas.read_excel(FILE, sheet_name="Channel_11_1", engine="openpyxl"))


@pytest.mark.benchmark(group="xlsx")
@pytest.mark.parametrize(
    "read",
    [
        pytest.param(read_battlife, id="battlife"),
        pytest.param(read_pandas, id="pandas-openpyxl-not-numpy"),
    ],
)
def test_read_workbook(benchmark, read):
    assert benchmark.pedantic(read, rounds=3, warmup_rounds=1) == N
