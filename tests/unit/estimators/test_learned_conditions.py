import numpy as np
import pytest

from battlife.errors import InputError
from battlife.estimators.learned.conditions import (
    conditions_of,
    declared_ah,
    departure,
    rating_departure,
    ratings_of,
    unstated,
    with_rating,
)
from battlife.estimators.learned.conformal import unit_quantile
from battlife.estimators.learned.design import Design, design_of
from battlife.model.table import FeatureTable


def table(**numbers):
    return FeatureTable({n: np.array(v, dtype=float) for n, v in numbers.items()})


LOT = table(temperature_degc=[22.0, 27.0, np.nan], charge_current_a=[1.0, 1.0, 1.0])
SPANS = conditions_of(LOT, [0, 1, 2], ())


def test_the_span_of_a_lot_leaves_out_what_is_not_stated():
    assert SPANS["temperature_degc"].tolist() == [22.0, 27.0]
    assert conditions_of(table(temperature_degc=[np.nan]), [0], ()) == {}
    assert conditions_of(table(soh=[1.0]), [0], ()) == {}


def test_the_start_of_a_charge_counts_only_where_it_is_learned_from():
    lot = table(charge_start_v=[3.3, 3.5])
    assert conditions_of(lot, [0, 1], ("charge_ah",)) == {}
    spans = conditions_of(lot, [0, 1], ("charge_ah", "charge_start_ohm"))
    assert departure(spans, table(charge_start_v=[3.54]), 0) == ""
    assert departure(spans, table(charge_start_v=[3.6]), 0) == "start_outside"


@pytest.mark.parametrize(
    ("degc", "amps", "reason"),
    [
        (19.5, 1.0, ""),
        (18.5, 1.0, "temperature_outside"),
        (31.0, 1.0, "temperature_outside"),
        (25.0, 1.04, ""),
        (25.0, 1.06, "current_outside"),
        (25.0, 0.9, "current_outside"),
        (np.nan, np.nan, ""),
    ],
)
def test_a_row_beyond_the_span_and_its_room_is_named(degc, amps, reason):
    row = table(temperature_degc=[degc], charge_current_a=[amps])
    assert departure(SPANS, row, 0) == reason


def test_a_condition_that_only_the_lot_states_qualifies_a_value():
    assert unstated(SPANS, table(charge_current_a=[1.0]), 0) == "temperature_unknown"
    assert unstated({}, table(soh=[1.0]), 0) == ""
    both = table(temperature_degc=[25.0], charge_current_a=[1.0])
    assert unstated(SPANS, both, 0) == ""


@pytest.mark.parametrize("units", [5, 6, 8])
def test_few_units_promise_no_more_than_the_next_one_leaves_open(units):
    rng = np.random.default_rng(0)
    held, promised = [], []
    for _ in range(400):
        sizes = rng.exponential(1.0, units + 1)
        scores = np.abs(rng.standard_normal((units + 1, 40))) * sizes[:, None]
        known = scores[:-1].ravel()
        groups = np.repeat(np.arange(units), 40)
        quantile, coverage = unit_quantile(known, groups, 0.9)
        held.append((scores[-1] <= quantile).mean())
        promised.append(coverage)
    assert max(promised) < units / (units + 1) + 1e-9
    assert np.mean(held) > np.mean(promised) - 0.02


def test_the_ratings_of_a_lot_are_those_its_rows_declare():
    lot = table(nominal_Ah=[25.0, 10.0, 10.0, np.nan, 0.0, -3.0])
    assert ratings_of(lot, range(6)).tolist() == [10.0, 25.0]
    assert ratings_of(lot, [1, 3]).tolist() == [10.0]
    assert ratings_of(table(soh=[1.0]), [0]).size == 0
    assert ratings_of(table(rated_mAh=[1100.0]), [0]).tolist() == [1.1]


def test_a_rating_that_was_given_goes_before_a_column_and_must_be_positive():
    lot = table(nominal_Ah=[25.0, 10.0])
    assert declared_ah(with_rating(lot, 2.5)).tolist() == [2.5, 2.5]
    assert with_rating(lot, None) is lot
    for wrong in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(InputError, match="must be positive"):
            with_rating(lot, wrong)


@pytest.mark.parametrize(
    ("ratings", "declared", "reason"),
    [
        ([10.0], 25.0, "rating_disagrees"),
        ([10.0, 35.0], 25.0, "rating_disagrees"),
        ([1.1], 2.2, "rating_disagrees"),
        ([10.0], 9.7, "rating_disagrees"),
        ([10.0], 10.2, ""),
        ([10.0], 9.8, ""),
        ([10.0, 25.0], 25.0, ""),
        ([10.0], np.nan, ""),
        ([], 25.0, ""),
    ],
)
def test_a_rating_is_compared_with_each_of_the_lot(ratings, declared, reason):
    assert rating_departure(np.array(ratings), declared) == reason
    assert rating_departure(None, declared) == ""


def test_columns_that_declare_a_rating_are_no_features_unless_asked_for():
    lot = table(nominal_Ah=[10.0, 25.0], R1=[1.0, 2.0], soh=[0.8, 0.9])
    assert design_of(lot, (), {"soh"}).names == ("R1",)
    assert design_of(lot, ("*_Ah",), {"soh"}).names == ("nominal_Ah",)


@pytest.mark.parametrize(
    "empty",
    [
        FeatureTable({"R1": np.array([1.0, 2.0]), "q": np.full(2, np.nan)}),
        FeatureTable({"R1": np.array([1.0, 2.0])}, {}, {"q": ("", "NaN")}),
        FeatureTable({"R1": np.array([1.0, 2.0])}, {"q": (np.empty(0),) * 2}),
    ],
)
@pytest.mark.parametrize("length", [0, 3])
def test_a_column_that_holds_nothing_is_missing_in_every_row(empty, length):
    features, reasons = Design(("q", "R1"), (length, 0)).matrix(empty)
    assert reasons == ("feature_missing",) * 2
    assert features[:, -1].tolist() == [1.0, 2.0]


def test_a_column_of_words_is_of_the_wrong_kind():
    words = FeatureTable({"R1": np.array([1.0])}, {}, {"q": ("high",)})
    with pytest.raises(InputError, match="'q' holds no numbers"):
        Design(("q", "R1"), (0, 0)).matrix(words)
