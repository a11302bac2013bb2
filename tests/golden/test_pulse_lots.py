"""PulseBat: a lot of one type knows its own cells from all other types."""

import numpy as np
import pytest

from battlife.estimators.learned.design import Design
from battlife.estimators.learned.domain import fit_domain, outside
from battlife.estimators.learned.parts import folds_of
from battlife.estimators.learned.pulse_features import PULSE
from battlife.estimators.learned.pulse_traces import rows
from battlife.estimators.learned.training import Labels, train
from battlife.model.table import FeatureTable
from battlife.pipeline.sources import LoadOptions, load_units_of
from battlife.readers.feature_tables import read_feature_table
from support import shared

TYPES = ("LFP_35Ah", "LMO_10Ah", "NMC_2.1Ah", "NMC_21Ah")
NAMES = tuple(f"U{k}" for k in range(1, 22))
DESIGN = Design(NAMES, (0,) * 21)


@pytest.fixture(scope="module")
def table():
    return read_feature_table(shared("pulsebat/pulse_features.csv"))


def of_type(table, kind):
    return np.array([t == kind for t in table.label("type")])


def signature(table, chosen):
    raw = np.column_stack([table.number(n) for n in NAMES])[chosen]
    return PULSE.signature(DESIGN, raw)


@pytest.mark.parametrize("kind", TYPES)
def test_every_other_type_is_refused_and_few_of_its_own(table, kind):
    own = of_type(table, kind)
    mine = signature(table, own)
    names = np.array(table.label("group"))[own]
    groups = np.unique(names, return_inverse=True)[1]
    folds = folds_of(table.number("soh")[own], groups)
    domain = fit_domain(mine, groups, folds)
    for other in TYPES:
        if other != kind:
            foreign = signature(table, of_type(table, other))
            assert (outside(domain, foreign) > 1.0).all()
    alarms = []
    for fold in np.unique(folds):
        out = folds == fold
        less = fit_domain(mine[~out], groups[~out], folds[~out])
        alarms.extend((outside(less, mine[out]) > 1.0).tolist())
    assert np.mean(alarms) < 0.02


def test_units_left_out_are_estimated_within_their_intervals(table):
    own = of_type(table, "NMC_21Ah")
    names = np.array(table.label("group"))[own].tolist()
    lot = FeatureTable(
        {n: table.number(n)[own] for n in (*NAMES, "soh")}, {}, {"group": tuple(names)}
    )
    _, (found,) = train(lot, Labels("soh", "group"), "pulse", "test")
    assert found.mape < 0.011
    assert 0.85 < found.coverage < 0.95
    assert found.width < 0.045
    assert found.refused < 0.02


def test_an_export_gives_the_voltages_of_its_rows_in_the_table(table):
    name = "LMO_C_10_B_2_SOC_5-55_Part_1-1_ID_PIP15827A00221240.xlsx"
    path = shared(f"pulsebat/tester_exports/{name}")
    (unit,) = load_units_of(path, LoadOptions(nominal_ah=10.0))
    found = rows(unit.trace, unit.pack)
    cell = [c.endswith("PIP15827A00221240") for c in table.label("cell")]
    known = np.flatnonzero(cell)[: len(found)]
    assert len(found) == 9  # of the tenth a protection trip lost a step
    for column in NAMES:
        assert found.number(column).tolist() == table.number(column)[known].tolist()
    soc = found.number("soc_since_empty")
    assert np.abs(soc - table.number("soc_from_Ah")[known]).max() < 0.002
