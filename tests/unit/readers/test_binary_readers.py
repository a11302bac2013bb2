"""Hostile and synthetic input for the readers of workbooks and binary records."""

import struct
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xlsxwriter

from battlife.errors import FormatError, InputError
from battlife.readers import (
    arbin_res,
    biologic_mpr,
    ch_instruments,
    gamry,
    ivium,
    nasa_mat,
    neware_nda,
    palmsens,
    versastudio,
    xlsx,
    zipped,
    zplot,
)
from battlife.readers.shape import gap_notice, segment_starts, shaped

READERS = (
    arbin_res.READER,
    biologic_mpr.READER,
    ch_instruments.READER,
    gamry.READER,
    ivium.READER,
    nasa_mat.READER,
    neware_nda.READER,
    palmsens.READER,
    versastudio.READER,
    xlsx.READER,
    zplot.READER,
)
AMBIENT = "ambient_temperature"
HEADER = ("Data_Point", "Test_Time(s)", "Current(mA)", "Voltage(V)", "Cycle_Index")


def workbook(path: Path, sheets: dict[str, list[list[object]]]) -> Path:
    with xlsxwriter.Workbook(path) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for i, row in enumerate(rows):
                sheet.write_row(i, 0, row)
    return path


def channel(first: int, n: int) -> list[list[object]]:
    rows: list[list[object]] = [list(HEADER)]
    rows += [[first + i, 10.0 * (first + i), -500.0, 3.7, 1] for i in range(n)]
    return rows


def codes(trace: Any) -> list[str]:
    return [n.code for n in trace.provenance.notices]


@pytest.mark.parametrize("reader", READERS, ids=lambda r: r.name)
@pytest.mark.parametrize(
    "content", [b"\0" * 300, b"PK\x03\x04 nonsense", b"abc,1\n" * 9]
)
def test_foreign_bytes_are_a_typed_error(
    reader: Any, content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "foreign.bin"
    path.write_bytes(content)
    with pytest.raises(InputError):
        reader.read(path)


def test_sheets_of_one_channel_continue_each_other(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "long.xlsx",
        {"Channel_3_2": channel(4, 2), "Channel_3_1": channel(1, 3)},
    )
    (trace,) = xlsx.READER.read(path)
    assert trace.time_s.tolist() == [10.0, 20.0, 30.0, 40.0, 50.0]
    assert trace.column("current_a").tolist() == [-0.5] * 5
    assert trace.unit_id == "long"
    assert codes(trace) == []


def test_channels_are_units(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "two.xlsx",
        {"Channel_1-001": channel(1, 2), "Channel_1-002": channel(1, 3)},
    )
    traces = xlsx.READER.read(path)
    assert [(t.unit_id, t.n_samples) for t in traces] == [
        ("two_1-001", 2),
        ("two_1-002", 3),
    ]


def test_lost_records_of_a_workbook_are_reported(tmp_path: Path) -> None:
    rows = channel(1, 5)
    del rows[3]
    path = workbook(tmp_path / "gap.xlsx", {"Channel_1_1": rows})
    (trace,) = xlsx.READER.read(path)
    assert codes(trace) == ["missing_records"]


def test_unknown_unit_is_refused(tmp_path: Path) -> None:
    rows = channel(1, 2)
    rows[0][3] = "Voltage(kWh)"
    path = workbook(tmp_path / "unit.xlsx", {"Channel_1_1": rows})
    with pytest.raises(InputError, match="kWh"):
        xlsx.READER.read(path)


def test_workbook_of_another_program_is_a_format_error(tmp_path: Path) -> None:
    path = workbook(tmp_path / "other.xlsx", {"Sheet1": [["a", "b"], [1, 2]]})
    with pytest.raises(FormatError):
        xlsx.READER.read(path)


def test_zip_bomb_is_refused_before_it_is_inflated(tmp_path: Path) -> None:
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", bytes(64 << 20))
    with pytest.raises(InputError, match="expands"):
        zipped.check_zip(path)


def test_stray_far_cell_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "grid.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        cells = '<c r="A1"><v>1</v></c><c r = "XFD1048576"><v>1</v></c>'
        archive.writestr("xl/worksheets/sheet1.xml", f"<sheetData>{cells}</sheetData>")
    with pytest.raises(InputError, match="cells"):
        zipped.check_zip(path)


def test_damaged_member_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "flip.xlsx", {"Channel_1_1": channel(1, 50)})
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("xl/worksheets/sheet1.xml")
    data[info.header_offset + 30 + len(info.filename) + 40] ^= 4
    path.write_bytes(data)
    with pytest.raises(InputError, match="damaged"):
        xlsx.READER.read(path)


def mpr(ids: tuple[int, ...], payload: bytes, n: int, cut: int = 0) -> bytes:
    """Write a minimal file of two modules, data version 3, from the public layout."""
    record = struct.pack("<IB", n, len(ids)) + struct.pack(f"<{len(ids)}H", *ids)
    record = record.ljust(406, b"\0") + payload

    def module(name: bytes, version: int, body: bytes) -> bytes:
        head = b"MODULE" + name.ljust(10) + name.ljust(25)
        return head + struct.pack("<II", len(body), version) + b"01/02/26" + body

    text = b"BIO-LOGIC MODULAR FILE\x1a".ljust(48) + b"\0" * 4
    text += module(b"VMP data", 3, record)
    return text[: len(text) - cut] if cut else text + module(b"VMP LOG", 0, b"\0" * 9)


def test_mpr_columns_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "hand.mpr"
    rows = [(1, 0.0, 3.5, 20.0), (2, 1.5, 3.25, -40.0)]
    payload = b"".join(struct.pack("<Bdff", *row) for row in rows)
    path.write_bytes(mpr((1, 2, 4, 6, 8), payload, 2))
    (trace,) = biologic_mpr.READER.read(path)
    assert trace.time_s.tolist() == [0.0, 1.5]
    assert trace.column("voltage_v").tolist() == [3.5, 3.25]
    assert trace.column("current_a").tolist() == [0.02, -0.04]


def test_mpr_cut_inside_its_records_says_so(tmp_path: Path) -> None:
    path = tmp_path / "cut.mpr"
    payload = b"".join(struct.pack("<df", float(i), 3.5) for i in range(4))
    path.write_bytes(mpr((4, 6), payload, 4, cut=15))
    (trace,) = biologic_mpr.READER.read(path)
    assert trace.n_samples == 2
    assert "missing_records" in codes(trace)


def test_mpr_names_a_column_it_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "new.mpr"
    path.write_bytes(mpr((4, 6, 9999), b"\0" * 16, 1))
    with pytest.raises(InputError, match="9999"):
        biologic_mpr.READER.read(path)


def test_matlab_7_3_has_a_hint(tmp_path: Path) -> None:
    path = tmp_path / "new.mat"
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n\x1a\n")
    with pytest.raises(InputError) as caught:
        nasa_mat.READER.read(path)
    assert "-v7" in caught.value.hint


def test_other_matlab_file_is_refused(tmp_path: Path) -> None:
    from scipy.io import savemat

    path = tmp_path / "other.mat"
    savemat(path, {"x": np.arange(3.0)})
    with pytest.raises(InputError, match="cycle"):
        nasa_mat.READER.read(path)


def test_empty_nasa_discharge_is_kept_as_a_step(tmp_path: Path) -> None:
    from scipy.io import savemat

    def operation(kind: str, hour: float, time: list[float]) -> dict[str, object]:
        flat = np.full(len(time), 4.0)
        data = {"Voltage_measured": flat, "Current_measured": -flat, "Time": time}
        return {
            "type": kind,
            "ambient_temperature": 24.0,
            "time": [2010.0, 5.0, 1.0, hour, 0.0, 0.5],
            "data": data,
        }

    kinds = np.zeros(2, dtype=[(n, object) for n in ("type", "time", "data", AMBIENT)])
    for k, time in enumerate(([0.0, 10.0], [])):
        row = operation("discharge", 8.0 + k, time)
        for name in kinds.dtype.names:
            kinds[k][name] = row[name]
    path = tmp_path / "B9999.mat"
    savemat(path, {"B9999": {"cycle": kinds}})
    (trace,) = nasa_mat.READER.read(path)
    assert trace.steps is not None
    assert trace.steps.column("segment")[0] == 0.0
    assert np.isnan(trace.steps.column("segment")[1])
    assert trace.steps.column("start_s").tolist() == [0.0, 3600.0]
    assert "missing_records" in codes(trace)


def test_palmsens_cut_json(tmp_path: Path) -> None:
    path = tmp_path / "cut.pssession"
    text = '{"Type":"PalmSens.DataFiles.SessionFile","Measurements":[{'
    path.write_bytes(text.encode("utf-16"))
    assert palmsens.READER.recognises(path.read_bytes(), path.name)
    with pytest.raises(InputError, match="JSON"):
        palmsens.READER.read(path)


def test_gamry_cathodic_convention_turns_the_sign(tmp_path: Path) -> None:
    text = (
        "EXPLAIN\nTAG\tCHRONOP\nCONVENTION\tIQUANT\t0\tx\nCURVE\tTABLE\t2\n"
        "\tPt\tT\tVf\tIm\n\t#\ts\tV vs. Ref.\tA\n\t0\t0\t3.5\t0.5\n\t1\t1\t3.4\t0.5\n"
    )
    path = tmp_path / "c.dta"
    path.write_text(text)
    (trace,) = gamry.READER.read(path)
    assert trace.column("current_a").tolist() == [-0.5, -0.5]


def test_gamry_impedance(tmp_path: Path) -> None:
    text = (
        "EXPLAIN\nTAG\tEISPOT\nZCURVE\tTABLE\n\tPt\tTime\tFreq\tZreal\tZimag\tIdc\tVdc\n"
        "\t#\ts\tHz\tohm\tohm\tA\tV\n\t0\t2\t1000\t0.05\t-0.01\t0\t3.6\n"
        "\t1\t3\t100\t0.06\t-0.02\t0\t3.6\n"
    )
    path = tmp_path / "z.dta"
    path.write_text(text)
    (trace,) = gamry.READER.read(path)
    (spectrum,) = trace.spectra
    assert spectrum.frequency_hz.tolist() == [1000.0, 100.0]
    assert spectrum.z_im_ohm.tolist() == [-0.01, -0.02]
    assert spectrum.time_s == 2.0


def test_segments_start_where_time_goes_back() -> None:
    starts, notices = segment_starts(np.array([0.0, 1.0, 1.0, 0.5, 2.0]))
    assert starts.tolist() == [0, 3]
    assert [n.code for n in notices] == ["time_goes_back", "time_repeats"]


def test_rows_without_time_are_counted() -> None:
    trace = shaped("u", [0.0, np.nan, 2.0], {"voltage_v": [1.0, 2.0, 3.0]})
    assert trace.column("voltage_v").tolist() == [1.0, 3.0]
    assert codes(trace) == ["rows_without_time"]


def test_gap_in_a_counter() -> None:
    assert gap_notice([1, 2, 3], "n") == ()
    (notice,) = gap_notice([1, 2, 4], "n")
    assert "2, then 4" in notice.message


def test_start_of_old_neware_firmware_is_not_taken_as_utc() -> None:
    stamp = datetime.fromisoformat("2024-02-01 20:24:23+00:00").timestamp()
    assert neware_nda._utc(stamp, "2024-02-01 20:24:23") is None
    assert neware_nda._utc(stamp, "2024-02-01 21:24:23") is not None


@pytest.mark.parametrize("reference", ['r="A30000001"', 'r="XFD1048576"', "r='ZZZ9'"])
def test_grid_by_every_spelling(reference: str, tmp_path: Path) -> None:
    path = tmp_path / "grid.xlsx"
    cells = f'<c r="A1"/><c {reference}/><c r="A99999"/><c r=\'A1048576\'/>'
    if "'" not in reference:
        cells = cells.replace("r='A1048576'", 'r="A1048576"')
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/worksheets/sheet1.xml", f"<sheetData>{cells}</sheetData>")
    with pytest.raises(InputError, match="cells"):
        zipped.check_zip(path)


def test_reading_neware_leaves_zlib_alone():
    """fastnda puts another library's functions in zlib's place when imported."""
    import zlib

    from battlife.readers import read
    from support import DATASETS

    read(DATASETS / "cycler_exports" / "test.ndax")
    assert zlib.decompress.__module__ == zlib.decompressobj.__module__ == "zlib"
