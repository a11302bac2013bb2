"""Impedance: Kramers-Kronig test and circuit fit beside impedance.py and pyimpspec.

One spectrum of 61 points over six decades, L-R-ZARC-W with noise, the same for all.
The peers run their own linear Kramers-Kronig test and fit the same circuit from the
same beginning; what each leaves as residual is kept beside its time.
"""

import numpy as np
import pytest

from battlife.estimators._circuits import best_fit, fit, parse
from battlife.estimators._spectra import Sweep, consistency, relaxations
from battlife.estimators.eis import CANDIDATES, ImpedanceSpectrum
from battlife.model import Pack, Spectrum, Trace

FREQUENCY_HZ = np.logspace(4, -2, 61)
OMEGA = 2 * np.pi * FREQUENCY_HZ
START = {"R": 0.015, "arc": 0.01, "tau": 0.03, "alpha": 0.8, "sigma": 0.003, "L": 1e-8}


def spectrum():
    """Return (m,) ohm."""
    rng = np.random.default_rng(1)
    z = 0.02 + 1j * OMEGA * 2e-8 + 0.015 / (1 + (1j * OMEGA * 0.01) ** 0.85)
    z = z + 0.002 * (1 - 1j) / np.sqrt(OMEGA)
    noise = rng.standard_normal(z.size) + 1j * rng.standard_normal(z.size)
    return z + 5e-4 * np.abs(z) * noise


Z = spectrum()
SWEEP = Sweep.of(Spectrum(FREQUENCY_HZ, Z.real, Z.imag))


def rms(fitted, order=slice(None)):
    """Return the root mean square of the relative residuals."""
    off = (fitted - Z[order]) / np.abs(Z[order])
    return float(np.sqrt((np.abs(off) ** 2).mean() / 2))


def run(benchmark, task, function, residual, rounds=5):
    """Time `function` warm, and keep what its result leaves as residual."""
    benchmark.group = f"eis {task}"
    result = benchmark.pedantic(function, rounds=rounds, iterations=1, warmup_rounds=1)
    benchmark.extra_info["rms"] = residual(result)
    print(f"\n{task}: {benchmark.name}: residual {benchmark.extra_info['rms']:.5f}")


def test_kramers_kronig(benchmark):
    run(
        benchmark,
        "kramers-kronig",
        lambda: consistency(SWEEP),
        lambda test: test.rms,
        rounds=50,
    )


def test_kramers_kronig_impedance_py(benchmark):
    validation = pytest.importorskip("impedance.validation", reason="a peer")
    from impedance.models.circuits.elements import circuit_elements

    # It evaluates the text of its numbers, which under NumPy 2 reads np.float64(...).
    circuit_elements["np"] = np
    run(
        benchmark,
        "kramers-kronig",
        lambda: validation.linKK(FREQUENCY_HZ, Z, c=0.85, max_M=50, fit_type="complex"),
        lambda found: float(np.sqrt((found[3] ** 2 + found[4] ** 2).mean() / 2)),
    )


def test_kramers_kronig_pyimpspec(benchmark):
    peer = pytest.importorskip("pyimpspec", reason="a peer")
    data = peer.DataSet(FREQUENCY_HZ, Z)
    run(
        benchmark,
        "kramers-kronig",
        lambda: peer.perform_kramers_kronig_test(data),
        lambda test: rms(test.get_impedances()),
        rounds=1,
    )


def test_circuit(benchmark):
    elements = parse("L-R-ZARC-W")
    none = np.empty((0, 2))
    run(
        benchmark,
        "circuit",
        lambda: fit(SWEEP.omega, SWEEP.re, SWEEP.im, elements, none),
        lambda found: found.rms,
        rounds=50,
    )


def test_circuit_impedance_py(benchmark):
    circuits = pytest.importorskip("impedance.models.circuits", reason="a peer")
    guess = [START[k] for k in ("L", "R", "arc", "tau", "alpha", "sigma")]

    def fitted():
        circuit = circuits.CustomCircuit("L0-R0-Zarc0-W0", initial_guess=guess)
        circuit.fit(FREQUENCY_HZ, Z, weight_by_modulus=True)
        return circuit

    run(benchmark, "circuit", fitted, lambda c: rms(c.predict(FREQUENCY_HZ)))


def test_circuit_pyimpspec(benchmark):
    peer = pytest.importorskip("pyimpspec", reason="a peer")
    data = peer.DataSet(FREQUENCY_HZ, Z)
    q = START["tau"] ** START["alpha"] / START["arc"]
    # Its W is 1/(Y sqrt(j w)): sigma (1 - j)/sqrt(w) with Y = 1/(sqrt(2) sigma).
    text = (
        f"L{{L={START['L']}}}R{{R={START['R']}}}"
        f"(R{{R={START['arc']}}}Q{{Y={q},n={START['alpha']}}})"
        f"W{{Y={1 / (2**0.5 * START['sigma'])}}}"
    )
    run(
        benchmark,
        "circuit",
        lambda: peer.fit_circuit(
            peer.parse_cdc(text), data, method="least_squares", weight="modulus"
        ),
        lambda found: rms(found.get_impedances()),
        rounds=2,
    )


def test_choice_of_a_circuit(benchmark):
    spread = relaxations(SWEEP, 5e-4)
    circuits = tuple(f"L-{c}" for c in CANDIDATES)
    run(
        benchmark,
        "choice of a circuit",
        lambda: best_fit(
            SWEEP.omega, SWEEP.re, SWEEP.im, circuits, spread.peaks, 1.2e-3
        ),
        lambda found: found.rms,
        rounds=20,
    )


def test_relaxation_times(benchmark):
    run(
        benchmark,
        "relaxation times",
        lambda: relaxations(SWEEP, 5e-4),
        lambda found: found.rms,
        rounds=20,
    )


def test_relaxation_times_pyimpspec(benchmark):
    peer = pytest.importorskip("pyimpspec", reason="a peer")
    data = peer.DataSet(FREQUENCY_HZ, Z)
    run(
        benchmark,
        "relaxation times",
        lambda: peer.calculate_drt(data, method="tr-nnls"),
        lambda found: rms(found.get_impedances()),
        rounds=2,
    )


def test_whole_estimate(benchmark):
    trace = Trace(
        "cell", None, [], [0], {}, spectra=(Spectrum(FREQUENCY_HZ, Z.real, Z.imag),)
    )
    run(
        benchmark,
        "whole estimate",
        lambda: ImpedanceSpectrum().estimate(trace, Pack("cell")),
        lambda found: found[0].conditions["fit_rms"],
        rounds=20,
    )
