"""The half-cell fit of measured cells beside SciPy, and beside ampworks if installed.

Each starts from nothing: ampworks' own grid search and its constrained fit; battlife's
grid and its descents; SciPy's least squares from battlife's grid, with NumPy
interpolation.
"""

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import least_squares

from battlife.estimators._half_cells import electrodes
from battlife.estimators._ocv_alignment import align
from battlife.kernels.half_cell import starts

FOLDER = Path(__file__).resolve().parent.parent / "datasets" / "half_cells"
CELLS = ["cell1_rough", "cell2_rough"]


def measured(name: str):
    """Return (charge in Ah, V) of a discharge."""
    table = np.genfromtxt(FOLDER / f"{name}.csv", delimiter=",", names=True)
    return table["Ah"].copy(), table["Volts"].copy()


def curves():
    """Return the half-cells of positive and negative."""
    names = (str(FOLDER / f"{n}_smooth.csv") for n in ("nmc", "gr"))
    return electrodes(*names, None)


def run(benchmark, function, cell: str, rounds: int):
    """Time `function` warm."""
    benchmark.group = f"half-cell fit, {cell}"
    benchmark.pedantic(function, rounds=rounds, iterations=1, warmup_rounds=1)


@pytest.mark.parametrize("cell", CELLS)
def test_align(benchmark, cell):
    charge, voltage = measured(cell)
    plus, minus = curves()
    fit = align(charge, voltage, -1, plus, minus, 0.003)
    benchmark.extra_info["residual_rms_mv"] = 1e3 * fit.rmse_v
    run(benchmark, lambda: align(charge, voltage, -1, plus, minus, 0.003), cell, 20)


@pytest.mark.parametrize("cell", [pytest.param(c, id=f"{c}-numpy") for c in CELLS])
def test_scipy(benchmark, cell):
    charge, voltage = measured(cell)
    plus, minus = curves()
    grid_p = np.linspace(plus.first, plus.last, plus.voltage_v.size)
    grid_n = np.linspace(minus.first, minus.last, minus.voltage_v.size)
    share = np.linspace(0, 1, 400)
    volts = np.interp(share, 1 - charge[::-1] / charge[-1], voltage[::-1])

    def residual(p):
        y = np.interp(p[2] + (p[3] - p[2]) * share, grid_p, plus.voltage_v)
        x = np.interp(p[0] + (p[1] - p[0]) * share, grid_n, minus.voltage_v)
        return volts - y + x - p[4]

    def whole():
        begin = starts(
            share,
            volts,
            *(plus.voltage_v, plus.first, plus.step),
            *(minus.voltage_v, minus.first, minus.step),
            12,
            0.06,
        )
        return min(
            (least_squares(residual, b[:5]) for b in begin), key=lambda r: r.cost
        )

    run(benchmark, whole, cell, 3)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cell", CELLS)
def test_ampworks(benchmark, cell):
    pytest.importorskip("ampworks", reason="a peer: pip install ampworks")
    import pandas
    from ampworks.dqdv import DqdvFitter

    def table(name):
        read = pandas.read_csv(FOLDER / f"{name}.csv")
        read["SOC"] = read.Ah / read.Ah.max()
        return read

    fitter = DqdvFitter(table("gr_smooth"), table("nmc_smooth"), table(cell))

    def whole():
        return fitter.constrained_fit(fitter.grid_search(11)["x"])

    found = whole()["x"]
    share = np.linspace(0, 1, 201)
    off = fitter.get_ocv("cell", share) + found[4]
    off = off - fitter.get_ocv("pos", found[2] + (found[3] - found[2]) * share)
    off = off + fitter.get_ocv("neg", found[0] + (found[1] - found[0]) * share)
    benchmark.extra_info["residual_rms_mv"] = 1e3 * float(np.sqrt(np.mean(off**2)))
    run(benchmark, whole, cell, 1)
