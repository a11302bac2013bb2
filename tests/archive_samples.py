"""A small archive to write, read and tamper with."""

from datetime import UTC, datetime

import numpy as np

from battlife.archive import (
    Evaluation,
)
from battlife.model import (
    Clearance,
    Estimate,
    Grade,
    Measurement,
    Notice,
    Outcome,
    Provenance,
    Reason,
    Route,
    Severity,
    Source,
    Spectrum,
    StepTable,
    Trace,
)

MOMENT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def make_trace(unit_id: str = "cell 7", n: int = 1000) -> Trace:
    rng = np.random.default_rng(4)
    time_s = np.concatenate([np.arange(n // 2), np.arange(n - n // 2)]).astype(float)
    voltage = 3.7 + 0.01 * rng.standard_normal(n)
    voltage[5] = np.nan
    return Trace(
        unit_id=unit_id,
        start_utc=MOMENT,
        time_s=time_s,
        segment_start=np.array([0, n // 2]),
        columns={
            "voltage_v": voltage,
            "current_a": np.full(n, -1.0),
            "cell_voltage_v": rng.standard_normal((3, n)),
        },
        steps=StepTable(np.array([0, 2]), {"start_s": np.array([0.0, np.nan])}),
        spectra=(
            Spectrum(
                np.array([1.0, 10.0]), np.array([0.1, 0.2]), np.array([-0.1, -0.2]), 3.0
            ),
        ),
        provenance=Provenance(
            sources=(Source("log.csv", "ab" * 32, 12, "generic"),),
            header={"serial_number": "SN=1"},
            notices=(Notice("odd", "something odd", Severity.WARNING),),
        ),
    )


def make_evaluation(unit_id: str = "cell 7", reason: str = "first") -> Evaluation:
    measurement = Measurement("discharge_capacity_ah", 1.85, 0.01, "Ah")
    estimate = Estimate(
        unit_id,
        "capacity",
        "1",
        options={"cutoff_v": 2.7, "repeats": 3, "flag": True, "none": None},
        reasons=("remark",),
        measurements={measurement.name: measurement},
        conditions={"temperature_degc": float("nan"), "rule": "trapezoid"},
        cycle=0,
    )
    grade = Grade(
        unit_id,
        Route.RETEST,
        (Reason("r1", Outcome.STRADDLES, "soh_capacity", 0.79, 0.81, 0.8, "1"),),
        "policy",
        "1",
        "cd" * 32,
        Clearance(),
    )
    return Evaluation(
        unit_id,
        (estimate,),
        grade,
        "ana",
        reason,
        MOMENT,
        {"battlife": "0.1.0"},
        {"policy_toml": "name = 'x'"},
    )
