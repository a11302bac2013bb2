"""Tables as a spreadsheet and a script read them."""

import csv
from pathlib import Path

import polars
import pytest
from python_calamine import CalamineWorkbook

from battlife.errors import InputError
from battlife.reports.tables import write_table

ROWS = [
    {"unit": "B0045", "soh": 0.91, "note": '=HYPERLINK("x")'},
    {"unit": "@cmd", "soh": -1.5, "note": None, "route": "REUSE"},
    {"unit": "Zoë", "soh": None, "note": "\t+1"},
]


def test_csv_holds_no_formula_and_numbers_stay(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    write_table(ROWS, path)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows == [
        ["unit", "soh", "note", "route"],
        ["B0045", "0.91", '\'=HYPERLINK("x")', ""],
        ["'@cmd", "-1.5", "", "REUSE"],
        ["Zoë", "", "'\t+1", ""],
    ]


def test_xlsx_holds_no_formula_and_numbers_stay(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    write_table(ROWS, path)
    rows = CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).to_python()
    assert rows[1][:3] == ["B0045", 0.91, '\'=HYPERLINK("x")']
    assert rows[2] == ["'@cmd", -1.5, "", "REUSE"]


def test_parquet_keeps_text_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_table(ROWS, path)
    frame = polars.read_parquet(path)
    assert frame["unit"].to_list() == ["B0045", "@cmd", "Zoë"]
    assert frame["soh"].to_list() == [0.91, -1.5, None]


def test_an_unknown_suffix_and_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.ods"):
        write_table(ROWS, tmp_path / "t.ods")
    with pytest.raises(InputError, match="nowhere"):
        write_table(ROWS, tmp_path / "nowhere" / "t.csv")


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    path.write_bytes(b"old")
    with pytest.raises(TypeError):
        write_table([{"a": {1, 2}}], path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
