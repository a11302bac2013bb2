"""Readings on a grid: the latest value as it was said, never older than allowed."""

import math
from datetime import UTC, datetime

import numpy as np
import pytest

from battlife.errors import InputError
from battlife.model import Notice, Provenance, Reading
from battlife.wire.align import align

START = datetime(2026, 1, 2, tzinfo=UTC)


def said(time_s: float, /, *notices: Notice, **values) -> Reading:
    return Reading(time_s, "", "m", values, b"", None, notices)


def aligned(*readings: Reading, period_s=1.0, max_age_s=2.0, folder=None):
    return align(
        lambda: iter(readings),
        unit_id="u",
        start_utc=START,
        period_s=period_s,
        max_age_s=max_age_s,
        provenance=Provenance(),
        folder=folder,
    )


def test_a_sample_is_the_latest_value_and_an_old_one_is_missing():
    trace = aligned(
        said(0.2, voltage_v=10.0),
        said(0.9, voltage_v=11.0, soc=0.5),
        said(1.0, voltage_v=12.0),
        said(3.6, voltage_v=13.0),
    )
    assert trace.time_s.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert trace.column("voltage_v").tolist() == [12.0, 12.0, 12.0, 13.0]
    np.testing.assert_equal(trace.column("soc"), [0.5, 0.5, np.nan, np.nan])


def test_cells_of_several_messages_are_one_column():
    nan = float("nan")
    trace = aligned(
        said(0.0, cell_voltage_v=(3.0, 3.1)),
        said(0.1, cell_voltage_v=(nan, nan, 3.2)),
        said(1.0, cell_voltage_v=(3.5, nan)),
    )
    np.testing.assert_equal(
        trace.column("cell_voltage_v"), [[3.0, 3.5], [3.1, 3.1], [nan, 3.2]]
    )


def test_one_cell_is_still_a_row_and_sensors_are_cell_temperatures():
    trace = aligned(said(0.0, cell_voltage_v=(3.0,), temperature_degc=(20.0, 21.0)))
    assert trace.column("cell_voltage_v").shape == (1, 1)
    assert trace.column("cell_temperature_degc").tolist() == [[20.0], [21.0]]


def test_a_number_the_device_no_longer_knows_is_missing_at_once():
    trace = aligned(said(0.0, soc=0.5), said(1.0, soc=math.nan))
    np.testing.assert_equal(trace.column("soc"), [0.5, np.nan])


def test_a_gap_begins_a_segment_and_makes_no_samples():
    trace = aligned(said(0.0, voltage_v=1.0), said(1e9, voltage_v=2.0))
    assert trace.segment_start.tolist() == [0, 1]
    assert trace.time_s.tolist() == [0.0, 1e9]
    assert [n.code for n in trace.provenance.notices] == ["gaps"]


def test_a_clock_that_goes_back_begins_a_segment():
    trace = aligned(
        said(10.0, voltage_v=1.0), said(11.0, voltage_v=2.0), said(0.0, voltage_v=3.0)
    )
    assert trace.segment_start.tolist() == [0, 2]
    assert trace.column("voltage_v").tolist() == [1.0, 2.0, 3.0]
    assert [n.code for n in trace.provenance.notices] == ["clock_back"]


def test_columns_in_files_equal_columns_in_memory(tmp_path):
    readings = [
        said(0.3 * i, voltage_v=float(i), cell_voltage_v=(i / 2, i / 3))
        for i in range(20_000)
    ]
    inside = aligned(*readings)
    outside = aligned(*readings, folder=tmp_path)
    for name in ("voltage_v", "cell_voltage_v"):
        assert (inside.column(name) == outside.column(name)).all()
    assert len(list(tmp_path.iterdir())) == 3


def test_texts_faults_and_notices_are_kept_with_their_time():
    trace = aligned(
        said(
            1.0,
            Notice("critical_fault_code", "isolation"),
            voltage_v=1.0,
            serial_number="A1",
            fault_codes=("P33D7",),
            reported_soh=1.0,
            design_capacity_ah=66.0,
        ),
        said(2.0, voltage_v=1.0, fault_codes=("P33D7",)),
    )
    assert trace.provenance.header["serial_number"] == "A1"
    assert trace.provenance.header["vendor.reported_soh"] == "1"
    messages = {n.code: n.message for n in trace.provenance.notices}
    assert messages["fault_codes"] == ("fault codes: P33D7 (first at 1.000 s, 2 times)")
    assert "critical_fault_code" in messages
    assert trace.column("reported_soh").tolist() == [1.0, 1.0]


def test_flags_are_zero_and_one_and_vendor_values_no_columns():
    trace = aligned(said(0.0, contactors_closed=True, leaf_gids=200.0))
    assert trace.column("contactors_closed").tolist() == [1.0]
    assert set(trace.columns) == {"contactors_closed"}


def test_nothing_numeric_is_refused():
    with pytest.raises(InputError, match="no message"):
        aligned(said(0.0, serial_number="A1"))


@pytest.mark.parametrize("period_s", [0.0, -1.0, math.nan, math.inf])
def test_an_absurd_period_is_refused(period_s):
    with pytest.raises(InputError):
        aligned(said(0.0, voltage_v=1.0), period_s=period_s)


def test_a_period_too_short_for_the_record_is_refused():
    with pytest.raises(InputError, match="more than can be kept"):
        aligned(
            said(0.0, voltage_v=1.0),
            said(1.0, voltage_v=2.0),
            period_s=1e-9,
            max_age_s=2.0,
        )
