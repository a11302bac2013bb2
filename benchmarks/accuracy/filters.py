"""State of charge by filters: figures of docs/accuracy.md, from ../shared/data."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from battlife.estimators._cell_model import cell_of
from battlife.estimators.cell_models import calibrate_cell_model, esc_cell_model
from battlife.estimators.soc_ekf import ExtendedFilter
from battlife.kernels.cell_filter import hysteresis_share, relaxed_current
from battlife.model import Pack, Trace
from battlife.pipeline.sources import LoadOptions, load_units_of
from battlife.readers.esc_model import read_esc_numbers

RIG = Pack("cell", sensor={"current_relative": 0.003, "voltage_v": 0.0006})
A123_AH, E2_AH, E2_EFFICIENCY = 1.055, 5.1344, 0.993
LATE_S = 600.0
LONGEST = 12_000
"""Samples of a run; three hours at 1 Hz."""
SAME = (
    "Same record: the model was fitted to the record it is run on, since each cell has "
    "one drive cycle only, and the record was looked at while the filter was built. "
    "What it says is how well a filter finds the state from an unknown start when the "
    "model fits; another profile of the cell is worse."
)
OTHER = (
    "Other profile or model: A123, the model made of the C/20 charge and DST alone, "
    "run on the 1C discharge or charge before DST. E2, the drive cycle's model run on "
    "the charge at 2 A, whose branch it has seen; the published ESC model, fitted to "
    "no record here, run on the drive cycle."
)
SPOILT = (
    "Spoilt model: that of `same record` with a drawn error of the curve (3 mV, over "
    "8 % of charge), slowest resistance 25 %, resistance 10 %, hysteresis rate 50 %, "
    "capacity 1 %, six draws: an imitation of another profile."
)
COLD = (
    "Simulated 5 degC: there is no record of it. The current of the E2 record; a cell "
    "with the E2 curve, the ESC resistances of 5 degC, and either diffusion scaled by "
    "a drawn activation energy (2000 to 5000 K) and hysteresis of 1 to 2 times 16 mV, "
    "or none and the hysteresis of the ESC model times 0.5 to 1 (the extreme); three "
    "draws. What a temperature adds to the doubt of a model was chosen with other "
    "draws of the same kind."
)
FIGURE = "RMSE after 10 min, median of starts (worst)"


def rows(shared: Path) -> list[dict]:
    """Return one row per task."""
    folder = shared / "drive_cycles"
    return [*_a123(folder), *_e2(folder)]


def row(task, data, protocol, runs, wrong, target, note="", why=""):
    """Return a row of runs [(rmse, held before, held after, half width)] in points."""
    kept = np.array([r for r in runs if r is not None])
    found = {
        "task": task,
        "data": data,
        "protocol": protocol,
        "figure": FIGURE,
        "baseline": f"{wrong:.0f} % counted from a start that wrong",
        "target": target,
        "note": note,
        "why": why,
    }
    if not kept.size:
        return found | {"ours": "all refused", "met": False}
    median = float(np.median(kept[:, 0]))
    early, late, half = kept[:, 1:].mean(axis=0)
    refused = len(runs) - len(kept)
    ours = (
        f"{median:.1f} ({kept[:, 0].max():.1f}) %; 95 % bound held {100 * early:.0f} % "
        f"of the first 10 min, {100 * late:.0f} % after, half width {half:.1f} %"
    )
    if refused:
        ours += f"; {refused} of {len(runs)} refused"
    limit = float(target.split()[1])
    met = median <= limit and min(early, late) >= 0.9
    return found | {"ours": ours, "met": met}


def load(path):
    """Return the only trace of a file."""
    (unit,) = load_units_of(path, LoadOptions())
    return unit.trace


def part(trace, start, stop):
    columns = {n: c[start:stop] for n, c in trace.columns.items()}
    return Trace(trace.unit_id, None, trace.time_s[start:stop], [0], columns)


def counted(trace, efficiency=1.0):
    """Return (n,) Ah."""
    current = trace.column("current_a")
    mean = 0.5 * (current[1:] + current[:-1])
    mean = np.where(mean > 0, efficiency * mean, mean)
    passed = np.diff(trace.time_s) * mean
    return np.concatenate([[0.0], np.cumsum(passed)]) / 3600.0


def run(model, trace, truth, start, soc_initial=None, stop=None):
    """Return (rmse, held before 10 min, held after, half width) in points, or None."""
    stop = min(start + LONGEST, truth.size if stop is None else stop)
    piece, soc = part(trace, start, stop), truth[start:stop]
    method = ExtendedFilter(model=model, soc_initial=soc_initial)
    (found,) = method.estimate(piece, RIG)
    if found.status != "ok":
        return None
    curve = method.curves(piece, RIG, found)[0].columns
    late = curve["time_s"] - curve["time_s"][0] > LATE_S
    inside = (soc >= curve["soc_low"]) & (soc <= curve["soc_high"])
    rmse = float(np.sqrt(np.mean((curve["soc"] - soc)[late] ** 2)))
    half = 0.5 * float((curve["soc_high"] - curve["soc_low"])[late].mean())
    return 100 * rmse, inside[~late].mean(), inside[late].mean(), 100 * half


def middle(model, trace, truth, levels, first=0, rising=False):
    """Return the runs from levels, each with nothing stated and with 30 % too much or
    too little, as far as that is a state of charge."""
    found = []
    for level in levels:
        at = truth[first:] >= level if rising else truth[first:] <= level
        start = first + int(np.argmax(at))
        for wrong in (None, -0.3, 0.3):
            stated = None if wrong is None else float(truth[start]) + wrong
            if stated is None or 0.0 <= stated <= 1.0:
                found.append(run(model, trace, truth, start, stated))
    return found


def _a123(folder):
    trace = load(folder / "A123_DST.csv")
    ocv = (load(folder / "A123_OCV_charge_C20.csv"), RIG)
    charge = counted(trace)
    top = int(charge.argmax())
    soc = 1.0 + (charge - charge[top]) / A123_AH
    stop = int(np.searchsorted(trace.time_s, 14_990.0))
    model, _ = calibrate_cell_model([ocv, (trace, RIG)])
    whole, truth = part(trace, 0, stop), soc[:stop]
    levels = (0.8, 0.7, 0.6, 0.5, 0.4)
    task = "SOC, LFP from mid-plateau"
    found = [
        row(
            task, "A123 DST", SAME, middle(model, whole, truth, levels, top), 30, "<= 2"
        ),
        row(
            "SOC, LFP from full",
            "A123 DST",
            SAME,
            [run(model, whole, truth, top)],
            30,
            "<= 2",
        ),
    ]
    rng = np.random.default_rng(11)
    spoilt = []
    for _ in range(6):
        bad = _spoilt(cell_of(model), rng).to_model("soc_ekf", (), "")
        for level in (0.7, 0.6, 0.5):
            start = top + int(np.argmax(truth[top:] <= level))
            spoilt.append(run(bad, whole, truth, start))
    found.append(row(task, "A123 DST", SPOILT, spoilt, 30, "<= 2", why=FLAT))
    other, _ = calibrate_cell_model([ocv, (part(trace, top - 50, stop), RIG)])
    bottom = int(np.argmin(soc[:top]))
    before, earlier = part(trace, 0, bottom), soc[:bottom]
    for name, piece, known, at, rising in (
        ("1C discharge", before, earlier, 0, False),
        ("1C charge", part(trace, 0, top), soc[:top], bottom + 5, True),
    ):
        runs = middle(other, piece, known, (0.2, 0.4) if rising else (0.4,), at, rising)
        found.append(
            row("SOC, LFP, other profile", f"A123 {name}", OTHER, runs, 30, "<= 2")
            | {"why": CONSTANT}
        )
    return found


def _spoilt(cell, rng):
    soc = cell.soc
    alike = np.exp(-0.5 * ((soc[:, None] - soc) / 0.08) ** 2) + 1e-6 * np.eye(soc.size)
    error = 0.003 * np.linalg.cholesky(alike) @ rng.normal(size=soc.size)
    slow = cell.rc_ohm.copy()
    slow[:, -1] *= np.exp(0.25 * rng.normal())
    return replace(
        cell,
        ocv_v=np.maximum.accumulate(cell.ocv_v + error),
        rc_ohm=slow,
        r0_ohm=cell.r0_ohm * np.exp(0.1 * rng.normal()),
        hysteresis_rate=cell.hysteresis_rate * np.exp(0.5 * rng.normal()),
        capacity_ah=cell.capacity_ah * (1.0 + 0.01 * rng.normal()),
    )


def _e2(folder):
    path = folder / "E2_DYN_35_P25.mat"
    data = loadmat(str(path), squeeze_me=True, struct_as_record=False)["DYNData"]
    truth, trace = data.script1.soc, load(path)
    n, second = truth.size, data.script2.soc.size
    numbers, source = read_esc_numbers(folder / "E2model.mat")
    base = esc_cell_model(numbers, source)
    model, _ = calibrate_cell_model([(trace, RIG)], base=base)
    drive = part(trace, 0, n)
    charge, filled = part(trace, n + second, trace.n_samples), data.script3.soc
    levels = (0.8, 0.6, 0.4)
    return [
        row(
            "SOC, NMC 25 degC, mid-charge",
            "E2 drive",
            SAME,
            middle(model, drive, truth, levels),
            30,
            "<= 1",
        ),
        row(
            "SOC, NMC 25 degC, from full",
            "E2 drive",
            SAME,
            [run(model, drive, truth, 0)],
            30,
            "<= 1",
        ),
        row(
            "SOC, NMC, other profile",
            "E2 charge at 2 A",
            OTHER,
            middle(model, charge, filled, (0.3, 0.7), rising=True),
            30,
            "<= 1",
            why="At 2 A throughout, what the model's polarisation is wrong by lasts.",
        ),
        row(
            "SOC, NMC, published model alone",
            "E2 drive",
            OTHER,
            middle(base, drive, truth, (0.6,)),
            30,
            "<= 1",
            note="From full such a model's bound fails; it remarks "
            "bound_unproven_near_full.",
            why="One RC element of 2 s: its hysteresis stands for slow polarisation.",
        ),
        *_cold(model, numbers, drive, truth),
    ]


def _cold(model, numbers, drive, truth):
    rng = np.random.default_rng(907)
    at = int(np.argmin(np.abs(numbers["temps"] - 5.0)))
    names = ("R0Param", "RParam", "RCParam", "MParam", "GParam")
    r0, r1, tau, level, rate = (float(numbers[k][at]) for k in names)
    cell = cell_of(model)
    warm, esc = cell.at(25.0), numbers["SOC"]
    axis = warm.grid[0] + np.arange(warm.curves.shape[1]) / warm.grid[1]
    current = np.ascontiguousarray(drive.column("current_a"))
    n = current.size
    passed = counted(drive, E2_EFFICIENCY)
    bare = np.interp(truth, axis, warm.curves[0])
    bare = bare - 20.0 * np.interp(truth, esc, numbers["OCVrel"])
    fast = r1 * relaxed_current(drive.time_s, current, 0, n, tau)
    runs = {True: [], False: []}
    for diffuses in (True, False):
        for _ in range(3):
            if diffuses:
                m, g = 0.016 * rng.uniform(1, 2), 60.0
                slow = cell.rc_ohm[cell.temperature_degc == 25.0][0, -1]
                slow *= np.exp(rng.uniform(2000, 5000) * (1 / 278.15 - 1 / 298.15))
            else:
                m, g, slow = level * rng.uniform(0.5, 1), rate, 0.0
            v = bare + m * hysteresis_share(passed, g / E2_AH, 1.0) + fast
            v = v + r0 * np.exp(0.1 * rng.normal()) * current
            lag = float(rng.uniform(80, 300))
            v = v + slow * relaxed_current(drive.time_s, current, 0, n, lag)
            columns = {
                "current_a": current,
                "voltage_v": v + 0.001 * rng.normal(size=n),
                "temperature_degc": np.full(n, 5.0),
            }
            made = Trace("e2", None, drive.time_s, [0], columns)
            for start in (0, int(np.argmax(truth <= 0.6))):
                runs[diffuses].append(run(model, made, truth, start))
    task = "SOC, NMC 5 degC (simulated)"
    return [
        row(task, "E2, diffusion", COLD, runs[True], 30, "<= 2", why=LOOPS),
        row(task, "E2, ESC hysteresis", COLD, runs[False], 30, "<= 2", why=LOOPS),
    ]


FLAT = "On the plateau 1 mV is 2 % of charge: an error of 3 mV is seen, not removed."
CONSTANT = (
    "At constant current nothing tells polarisation from the curve, and on the plateau "
    "27 mV of it are half of the charge; the bound says so."
)
LOOPS = (
    "No record says whether what grows in the cold is hysteresis or slow polarisation; "
    "the model takes the second."
)
