"""Each limit raises its alarm once, at once, and ends it with a margin."""

from battlife.model import Notice, Reading, Value
from battlife.recording.alarms import Alarm, AlarmWatch, Watched, alarms_of
from battlife.recording.rig import Limits

PACK = Watched("bms", "unit 1", 1.0)


def said(time_s: float, **values: Value) -> Reading:
    return Reading(time_s, "", "status", values, b"")


def run(limits: Limits, *readings: Reading) -> list[Alarm]:
    return alarms_of(limits, [PACK], [("bms", r) for r in readings])


def test_each_cell_has_its_own_alarm_at_its_first_value() -> None:
    limits = Limits(cell_voltage_max_v=4.2, cell_voltage_min_v=2.8)
    found = run(limits, said(3.0, cell_voltage_v=(4.2, 3.7, 2.79)))
    assert [(a.code, a.which, a.value, a.limit, a.started_s) for a in found] == [
        ("cell_over_voltage", "cell 1", 4.2, 4.2, 3.0),
        ("cell_under_voltage", "cell 3", 2.79, 2.8, 3.0),
    ]
    assert found[0].message == "bms cell 1: cell over voltage 4.2 V (limit 4.2)"


def test_noise_at_a_limit_makes_one_alarm() -> None:
    volts = [4.19, 4.201, 4.199, 4.202, 4.195, 4.2, 4.18, 4.17, 4.201]
    found = run(
        Limits(cell_voltage_max_v=4.2),
        *(said(float(t), cell_voltage_v=(v,)) for t, v in enumerate(volts)),
    )
    assert [(a.started_s, a.ended_s) for a in found] == [(1.0, 6.0), (8.0, None)]


def test_missing_values_are_no_alarm_and_end_none() -> None:
    nan = float("nan")
    found = run(
        Limits(cell_voltage_min_v=2.8, temperature_max_degc=50),
        said(0.0, cell_voltage_v=(2.0,), temperature_degc=(60.0,)),
        said(1.0, cell_voltage_v=(nan,), temperature_degc=(nan,)),
    )
    assert [(a.code, a.ended_s) for a in found] == [
        ("cell_under_voltage", None),
        ("over_temperature", None),
    ]


def test_a_runaway_needs_no_minute_and_a_coarse_step_is_no_rate() -> None:
    limits = Limits(temperature_rate_max_k_per_min=2)
    slow = [said(float(t), temperature_degc=(20.0 + t // 60,)) for t in range(300)]
    assert run(limits, *slow) == []
    fast = [said(float(t), temperature_degc=(20.0 + t,)) for t in range(5)]
    (alarm,) = run(limits, *fast)
    assert (alarm.code, alarm.started_s, alarm.value) == ("temperature_rate", 3.0, 3.0)


def test_a_steady_rise_beyond_the_rate_is_found_within_its_window() -> None:
    # 3 K/min against 2 K/min: 2 K are passed after 40 s.
    rising = [said(t / 2, temperature_degc=(20 + t / 40,)) for t in range(200)]
    (alarm,) = run(Limits(temperature_rate_max_k_per_min=2), *rising)
    assert 40.0 < alarm.started_s <= 42.0


def test_spread_over_messages_that_carry_a_part_each() -> None:
    nan = float("nan")
    found = run(
        Limits(cell_spread_max_v=0.1),
        said(0.0, cell_voltage_v=(3.7, 3.71)),
        said(0.5, cell_voltage_v=(nan, nan, 3.75, 3.85)),
        said(1.0, cell_voltage_v=(3.74, 3.75)),
        said(1.5, cell_voltage_v=(nan, nan, 3.76, 3.77)),
    )
    assert [(a.code, round(a.value, 3), a.started_s, a.ended_s) for a in found] == [
        ("cell_spread", 0.15, 0.5, 1.5)
    ]


def test_a_cell_that_is_heard_no_more_is_missing() -> None:
    nan = float("nan")
    limits = Limits(n_cells=2, silence_s=4)
    whole = [said(float(t), cell_voltage_v=(3.7, 3.7 + t / 1e3)) for t in range(10)]
    assert run(limits, *whole) == []
    lost = [said(10.0 + t, cell_voltage_v=(3.7, nan)) for t in range(10)]
    (alarm,) = run(limits, *whole, *lost)
    assert (alarm.code, alarm.value, alarm.limit) == ("missing_cells", 1.0, 2.0)
    assert alarm.started_s == 14.0


def test_a_silent_device_is_told_by_the_clock_alone() -> None:
    watch = AlarmWatch(Limits(silence_s=5), [PACK])
    assert watch.tick(5.0) == []
    (alarm,) = watch.tick(5.5)
    assert (alarm.code, alarm.started_s) == ("silence", 5.5)
    assert watch.tick(6.0) == []
    (over,) = watch.feed("bms", said(7.0, soc=0.5))
    assert (over.code, over.ended_s) == ("silence", 7.0)
    assert watch.active == ()


def test_voltages_that_stand_still_under_current_are_stuck() -> None:
    limits = Limits(silence_s=5)
    same = (3.7, 3.71, 3.72)
    at_rest = [said(float(t), cell_voltage_v=same, current_a=0.0) for t in range(60)]
    assert run(limits, *at_rest) == []
    loaded = [
        said(60.0 + t, cell_voltage_v=same, current_a=-20.0 - t) for t in range(60)
    ]
    (alarm,) = run(limits, *at_rest, *loaded)
    assert (alarm.code, alarm.which, alarm.started_s) == ("stuck", "all voltages", 69.0)


def test_one_cell_that_stands_still_while_the_others_move_is_stuck() -> None:
    def volts(t: int) -> tuple[float, ...]:
        moving = round(3.6 + t * 2e-3, 3)
        return (moving, 3.7, moving, moving)

    found = run(
        Limits(silence_s=5),
        *(said(float(t), cell_voltage_v=volts(t), current_a=10.0) for t in range(60)),
    )
    assert [(a.code, a.which) for a in found] == [("stuck", "cell 2")]


def test_cells_told_in_two_messages_are_not_compared_across_them() -> None:
    nan = float("nan")

    def said_at(t: int, load_v: float) -> list[Reading]:
        first = tuple(round(3.7 + i / 1000 - load_v, 3) for i in range(6))
        second = tuple(round(3.7 + i / 1000, 3) for i in range(6, 10))
        return [
            said(t + 0.0, cell_voltage_v=(*first, *[nan] * 4), current_a=-20.0 - t),
            said(t + 0.5, cell_voltage_v=(*[nan] * 6, *second), current_a=-20.0 - t),
        ]

    # The load jumps while the second message still tells what was before.
    readings = [*said_at(0, 0.0), *said_at(1, 0.05), *said_at(2, 0.05)]
    assert run(Limits(silence_s=5), *readings) == []


def test_a_coarse_device_stands_still_rightly_while_its_current_moves() -> None:
    # Renogy tells cells in steps of 0.1 V, a Kona in steps of 20 mV.
    def volts(t: int) -> tuple[float, ...]:
        return (3.4 if t < 40 else 3.3, 3.4, 3.4 if t < 41 else 3.3, 3.3)

    readings = [
        said(float(t), cell_voltage_v=volts(t), current_a=-20.0 - t % 2 / 10)
        for t in range(60)
    ]
    assert run(Limits(silence_s=5), *readings) == []
    frozen = [
        said(60.0 + t, cell_voltage_v=volts(59), current_a=-20.0) for t in range(60)
    ]
    (alarm,) = run(Limits(silence_s=5), *readings, *frozen)
    assert (alarm.code, alarm.which) == ("stuck", "all voltages")


def test_silence_is_not_standing_still() -> None:
    def at(t: float) -> Reading:
        return said(t, cell_voltage_v=(3.7, 3.701, 3.702), current_a=-20.0)

    before = [at(t / 10) for t in range(40)]
    found = run(
        Limits(silence_s=5), *before, at(8.0), *(at(8 + t / 10) for t in (1, 2))
    )
    assert found == []


def test_a_critical_fault_lasts_until_its_message_comes_without_it() -> None:
    fault = Notice("critical_fault_code", "isolation failure")
    readings = [
        Reading(1.0, "", "faults", {}, b"", notices=(fault,)),
        Reading(2.0, "", "status", {}, b""),
        Reading(3.0, "", "faults", {}, b""),
    ]
    (alarm,) = run(Limits(), *readings)
    assert (alarm.which, alarm.started_s, alarm.ended_s) == (
        "isolation failure",
        1.0,
        3.0,
    )
