"""Extended Kalman filter of one cell.

The state is z, the state of charge; h, the hysteresis in V, which goes to its level for
the direction with charge passed, not with time; d, what the open-circuit curve is wrong
by, in V, which also lasts over charge passed; r, the share by which the resistances
differ from the model's; b, the offset of the current sensor in A; q, the share by which
the inverse capacity differs. The voltages of the RC elements follow from the current
alone and come in as an array.

Every error of a cell model lasts for minutes: taken for white noise it would be
averaged away and the bound be far too narrow. So the error of the curve is a state,
and the noise of the polarisation counts as often as its correlation time holds
samples. A running mean of the squared normalised innovation widens both where the
data disagree with the model more than was allowed for.

References
----------
G. L. Plett, Battery Management Systems, vol. 2, Artech House 2015, ch. 3 (extended
filter on an enhanced self-correcting cell model). Y. Bar-Shalom, X. R. Li and
T. Kirubarajan, Estimation with Applications to Tracking and Navigation, Wiley 2001,
8.2 (autocorrelated noise as a state), 11.6 (consistency by normalised innovations).
"""

import math

import numpy as np
import numpy.typing as npt

from battlife.kernels._cell_step import BEYOND, SECONDS_PER_HOUR, advanced
from battlife.kernels._jit import F8, F8_2D, float64, int64, kernel

Floats = npt.NDArray[np.float64]

LOST = 1e-24  # V^2; below it a variance is nothing, and soon slow to compute with


@kernel(float64[::1](F8, F8, int64, int64, float64))
def relaxed_current(
    time_s: Floats, current_a: Floats, start: int, stop: int, tau_s: float
) -> Floats:
    """Return the current through the resistor of an RC element that began at rest.

    Parameters
    ----------
    time_s : (n,) s, not decreasing between start and stop
    current_a : (n,) A, positive while charging; a missing one repeats the last
    start, stop : half-open range of samples
    tau_s : time constant in s

    Returns
    -------
    (stop - start,) A, exact where the current is constant between two samples
    """
    result = np.zeros(max(stop - start, 0))
    value = 0.0
    before = 0.0
    for k in range(start, stop):
        now = current_a[k] if current_a[k] == current_a[k] else before
        if k > start:
            keep = math.exp(-(time_s[k] - time_s[k - 1]) / tau_s)
            value = keep * value + (1.0 - keep) * 0.5 * (now + before)
        result[k - start] = value
        before = now
    return result


@kernel(float64[::1](F8, float64, float64))
def hysteresis_share(charge_ah: Floats, decay_per_ah: float, first: float) -> Floats:
    """Return hysteresis as a share of its level, from -1 to 1.

    Parameters
    ----------
    charge_ah : (n,) Ah, net charge since any moment
    decay_per_ah : 1/Ah, positive
    first : share at the first sample

    Returns
    -------
    (n,); NaN from the first missing charge on
    """
    result = np.empty(charge_ah.size)
    value = first
    for k in range(charge_ah.size):
        if k > 0:
            passed = charge_ah[k] - charge_ah[k - 1]
            keep = math.exp(-decay_per_ah * abs(passed))
            value = keep * value + (1.0 - keep) * np.sign(passed)
        result[k] = value
    return result


@kernel(float64[:, ::1](F8, F8, F8, F8, F8, int64, int64, F8_2D, F8, F8, F8, F8))
def extended_filter(
    time_s: Floats,
    current_a: Floats,
    voltage_v: Floats,
    relaxing_v: Floats,
    lasting_v: Floats,
    start: int,
    every: int,
    curves: Floats,
    grid: Floats,
    settings: Floats,
    state: Floats,
    spread: Floats,
) -> Floats:
    """Return what the filter knew at each sample from `start` on.

    Parameters
    ----------
    time_s : (n,) s, not decreasing from start on
    current_a : (n,) A, positive while charging; where it is missing the last holds
        and the charge of the interval counts as unknown
    voltage_v : (n,) V; where it is missing nothing is learned
    relaxing_v : (n - start,) V of the RC elements
    lasting_v : (n - start,) V, standard deviation of polarisation that no element
        follows and that lasts; it widens d
    start : first sample
    every : samples of which one is kept in the result
    curves : (4, m) open-circuit voltage in V, hysteresis in V (half the gap of the
        branches), instantaneous resistance in ohm, sd of the curve's error in V
    grid : (2,) state of charge of the first column of curves, and steps per unit of it
    settings : (18,) capacity in Ah; efficiency of charging; decay of h and of d per
        unit of state of charge; sd of a voltage reading in V; sd of the polarisation
        as a share, and its correlation time in s; sd of h as a share of its distance
        from its level; random walk of r, and of b in A, per root second; memory of
        the innovations in s; current in A that a missing sample may have had; longest
        interval in s whose charge is known; least and most of r; sd in V of what a
        voltage is off by within its correlation time at any current; sd in V of what
        is left at the start of a load before it, and its time constant in s
    state : (6,) z, h, d, r, b, q at the start
    spread : (6,) their standard deviations; 0 for both of b and q leaves them out

    Returns
    -------
    (6, m + 3) of m kept samples: z, its variance, the innovation in V and its variance
    in V^2 (NaN without a voltage), r, the logarithm of the likelihood. The last three
    columns are of the end: the state, its variances, and in the first row of the last
    one the logarithm of the likelihood.
    """
    n = time_s.size - start
    m = (n + every - 1) // every
    out = np.zeros((6, m + 3))
    capacity = settings[0]
    noise = settings[4] * settings[4]
    share = settings[5] * settings[5]
    correlation = settings[6]
    walk_r = settings[8] * settings[8]
    walk_b = settings[9] * settings[9]
    memory, unknown_a, longest = settings[10], settings[11], settings[12]
    least_r, most_r = settings[13], settings[14]
    floor = settings[15] * settings[15]
    fading = settings[16] * settings[16]
    ocv, r0s = curves[0], curves[2]
    top = curves.shape[1] - 1.001
    origin, scale = grid[0], grid[1]
    z, h, d, r, b, q = state[0], state[1], state[2], state[3], state[4], state[5]
    zz, hh, dd = spread[0] ** 2, spread[1] ** 2, spread[2] ** 2
    rr, bb, qq = spread[3] ** 2, spread[4] ** 2, spread[5] ** 2
    zh = zd = zr = zb = zq = hd = hr = hb = hq = 0.0
    dr = db = dq = rb = rq = bq = 0.0
    moving_b = bb > 0.0
    sized = bb > 0.0 or qq > 0.0
    surprise = 1.0
    loglik = 0.0
    counted = -np.inf
    before = current_a[start] if current_a[start] == current_a[start] else 0.0
    last_dt = -1.0
    per = fresh = 0.0
    times = faded = 1.0
    c = 0
    due = 1
    for k in range(n):
        at = start + k
        now = current_a[at]
        missing = not (now == now)
        if missing:
            now = before
        if k > 0:
            dt = time_s[at] - time_s[at - 1]
            if dt != last_dt:
                last_dt = dt
                per = dt / (SECONDS_PER_HOUR * capacity)
                fresh = min(dt / memory, 1.0)
                times = max(2.0 * correlation / dt, 1.0) if dt > 0.0 else 1.0
                faded = math.exp(-2.0 * dt / settings[17])
            fading = fading * faded if fading > LOST else 0.0
            z, h, f_q, phi, psi, e_h, e_d = advanced(
                z, h, 0.5 * (now + before) - b, q, per, settings, curves, grid
            )
            f_b = -per * (1.0 + q)
            e_d = (e_d + lasting_v[k] * lasting_v[k]) * surprise
            d *= psi
            # Covariance: only the row of z mixes, the rows of h and d shrink.
            if sized:
                a_b = zb + f_b * bb + f_q * bq
                a_q = zq + f_b * bq + f_q * qq
                zz += f_b * (zb + a_b) + f_q * (zq + a_q)
                zh += f_b * hb + f_q * hq
                zd += f_b * db + f_q * dq
                zr += f_b * rb + f_q * rq
                zb = a_b
                zq = a_q
                hb *= phi
                hq *= phi
                db *= psi
                dq *= psi
                if moving_b:
                    bb += walk_b * dt
            zh *= phi
            hr *= phi
            zd *= psi
            dr *= psi
            hd *= phi * psi
            hh = phi * phi * hh + (1.0 - phi * phi) * e_h
            dd = psi * psi * dd + (1.0 - psi * psi) * e_d
            rr += walk_r * dt
            if missing or dt > longest:
                lost = unknown_a * per
                zz += lost * lost
        before = now
        counts = False
        seen = voltage_v[at]
        innovation = np.nan
        variance = np.nan
        if seen == seen:
            # Slope over the width of what is not known, and what it leaves out.
            wide = max(math.sqrt(zz) * scale, 1.0)
            place = min(max((z - origin) * scale, 0.0), top)
            j = int(place)
            part = place - j
            middle = ocv[j] + part * (ocv[j + 1] - ocv[j])
            below = max(place - wide, 0.0)
            ja = int(below)
            low = ocv[ja] + (below - ja) * (ocv[ja + 1] - ocv[ja])
            above = min(place + wide, top)
            jb = int(above)
            high = ocv[jb] + (above - jb) * (ocv[jb + 1] - ocv[jb])
            # The quotient does not wait for the curve.
            h_z = (high - low) * (scale / (above - below))
            bend = 0.5 * (high + low) - middle
            r0 = r0s[j] + part * (r0s[j + 1] - r0s[j])
            ohmic = r0 * now + relaxing_v[k]
            predicted = middle + 0.5 * bend + h + d + (1.0 + r) * ohmic
            innovation = seen - predicted
            pulse = (share * ohmic * ohmic + floor + fading) * surprise
            rest = noise * surprise + 0.5 * bend * bend + times * pulse
            # What does not need the slope is added first.
            g_z = zz * h_z + (zh + zd + zr * ohmic)
            g_h = zh * h_z + (hh + hd + hr * ohmic)
            g_d = zd * h_z + (hd + dd + dr * ohmic)
            g_r = zr * h_z + (hr + dr + rr * ohmic)
            variance = (g_z * h_z + g_r * ohmic) + (g_h + (g_d + rest))
            inverse = 1.0 / variance
            gain = innovation * inverse
            k_z, k_h, k_d = g_z * inverse, g_h * inverse, g_d * inverse
            k_r = g_r * inverse
            z += g_z * gain
            h += g_h * gain
            d += g_d * gain
            r = min(max(r + g_r * gain, least_r), most_r)
            if sized:
                g_b = zb * h_z + hb + db + rb * ohmic
                g_q = zq * h_z + hq + dq + rq * ohmic
                b += g_b * gain
                q += g_q * gain
                k_b, k_q = g_b * inverse, g_q * inverse
                zb -= k_z * g_b
                hb -= k_h * g_b
                db -= k_d * g_b
                rb -= k_r * g_b
                bb -= k_b * g_b
                zq -= k_z * g_q
                hq -= k_h * g_q
                dq -= k_d * g_q
                rq -= k_r * g_q
                bq -= k_b * g_q
                qq -= k_q * g_q
            zz = max(zz - k_z * g_z, 1e-12)
            zh -= k_z * g_h
            zd -= k_z * g_d
            zr -= k_z * g_r
            hh = max(hh - k_h * g_h, 0.0)
            hd -= k_h * g_d
            hr -= k_h * g_r
            dd = max(dd - k_d * g_d, 0.0)
            dr -= k_d * g_r
            rr = max(rr - k_r * g_r, 0.0)
            if time_s[at] >= counted:
                # The noise of the polarisation is new only after its correlation
                # time: then one sample counts, with that noise once.
                counted = time_s[at] + 2.0 * correlation
                once = variance - (times - 1.0) * pulse
                loglik -= 0.5 * (innovation * innovation / once + math.log(once))
                counts = True
            if k > 0:
                ratio = min(innovation * gain, 100.0)
                surprise *= 1.0 + fresh * (ratio - 1.0)
                surprise = min(max(surprise, 1.0), 100.0)
        over = z - min(max(z, -BEYOND), 1.0 + BEYOND)
        if over != 0.0:
            # Full and empty are what 1 and 0 are named after: a state beyond them is
            # seen to be at them, once per correlation time.
            if counts:
                loglik -= 0.5 * over * over / (zz + BEYOND * BEYOND)
            inverse = 1.0 / (zz + times * BEYOND * BEYOND)
            k_z, k_h, k_d = zz * inverse, zh * inverse, zd * inverse
            k_r, k_b, k_q = zr * inverse, zb * inverse, zq * inverse
            h -= k_h * over
            d -= k_d * over
            r = min(max(r - k_r * over, least_r), most_r)
            b -= k_b * over
            q -= k_q * over
            z -= k_z * over
            hh -= k_h * zh
            hd -= k_h * zd
            hr -= k_h * zr
            hb -= k_h * zb
            hq -= k_h * zq
            dd -= k_d * zd
            dr -= k_d * zr
            db -= k_d * zb
            dq -= k_d * zq
            rr -= k_r * zr
            rb -= k_r * zb
            rq -= k_r * zq
            bb -= k_b * zb
            bq -= k_b * zq
            qq -= k_q * zq
            keep = 1.0 - k_z
            zz *= keep
            zh *= keep
            zd *= keep
            zr *= keep
            zb *= keep
            zq *= keep
        due -= 1
        if due == 0:
            due = every
            out[0, c] = z
            out[1, c] = zz
            out[2, c] = innovation
            out[3, c] = variance
            out[4, c] = r
            out[5, c] = loglik
            c += 1
    out[:, m] = np.array([z, h, d, r, b, q])
    out[:, m + 1] = np.array([zz, hh, dd, rr, bb, qq])
    out[0, m + 2] = loglik
    return out
