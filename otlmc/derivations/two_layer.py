"""Two-layer networks: from the matching cost to the deviation along the path, and its confidence."""

import math

import numpy as np
import sympy as sp
from scipy.special import ndtr

from otlmc.derivations.step import Step
from otlmc.marginals import UNIFORM, truncated_gaussian

TITLE = "Two-layer networks"
STATEMENT = r"""
Let $f(x; \theta) = \frac1m \sum_i \sigma(x; \theta_i)$, with the neurons of $B$ permuted by a matching that is optimal for $W_1$ (for the first of the two bounds) or for $W_2$ (for the second), and
$\theta(t) = (1 - t)\, \theta_A + t\, \theta_B$. For all $x$ and all $t \in [0, 1]$ at once,

$$
\bigl| f(x; \theta(t)) - (1 - t) f(x; \theta_A) - t f(x; \theta_B) \bigr| \;\le\;
\min\Bigl\{ \tfrac L2\, W_1,\; \tfrac\beta8\, W_2^2 \Bigr\}
$$

if $\sigma(x; \cdot)$ is $L$-Lipschitz, or has a $\beta$-Lipschitz gradient, respectively; between the two stand {doc}`neurons with a kink <kink>`. For independent neurons
$\mathbb E W_1 \le U_1(m)$ and $\mathbb E W_2^2 \le U_2(m)$; and if the law is the image of a standard Gaussian under a
$\Lambda$-Lipschitz map, then with probability at least $1 - \delta$,
$W_p \le S_p^{1/p} + 2 \Lambda \sqrt{\log(1/\delta) / m}$.
"""


def _lipschitz() -> bool:
    t = sp.Symbol("t", real=True)
    total = (1 - t) * t + t * (1 - t)  # distances t |a - b| from a and (1 - t) |a - b| from b
    return sp.expand(total - 2 * t * (1 - t)) == 0 and sp.maximum(total, t) == sp.Rational(1, 2)


def _smooth() -> bool:
    t, beta, r = sp.symbols("t beta r", positive=True)
    # Taylor at theta(t): the linear terms cancel, the rests are at most beta / 2 times the squares
    rest = beta / 2 * ((1 - t) * (t * r) ** 2 + t * ((1 - t) * r) ** 2)
    same = sp.simplify(rest - beta / 2 * t * (1 - t) * r**2) == 0
    return same and sp.maximum(t * (1 - t) / 2, t, sp.Interval(0, 1)) == sp.Rational(1, 8)


def _lipschitz_in_the_sample() -> bool:
    m, da, db = sp.symbols("m a b", positive=True)
    # (|dA| + |dB|) / sqrt(m) <= sqrt(2 / m) sqrt(|dA|^2 + |dB|^2)
    return sp.expand(2 * (da**2 + db**2) - (da + db) ** 2 - (da - db) ** 2) == 0 and m.is_positive


def _tail() -> bool:
    m, r, scale, delta = sp.symbols("m r Lambda delta", positive=True)
    lipschitz = scale * sp.sqrt(2 / m)
    exponent = -(r**2) / (2 * lipschitz**2)
    at = 2 * scale * sp.sqrt(sp.log(1 / delta) / m)
    return sp.simplify(exponent.subs(r, at) + sp.log(1 / delta)) == 0


def _images() -> bool:
    z = np.linspace(-6, 4, 4001)
    density = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    uniform = 2 * math.sqrt(3) * density.max()
    truncated = truncated_gaussian(2.0)
    slope = np.diff(truncated.quantile(ndtr(z))) / np.diff(z)
    return bool(
        math.isclose(uniform, UNIFORM.lipschitz, rel_tol=1e-6)
        and slope.max() <= truncated.lipschitz * (1 + 1e-9)
    )


STEPS = (
    Step(
        "A Lipschitz neuron",
        r"|\sigma(\theta_t) - (1-t)\, \sigma(a) - t\, \sigma(b)| \le 2 t (1 - t)\, L\, |a - b| \le \tfrac L2 |a - b|",
        "symbolic",
        _lipschitz,
        r"""$\theta_t = (1-t) a + t b$ lies at distance $t |a - b|$ from $a$ and $(1 - t) |a - b|$ from $b$. Averaged over the matched
neurons, $|a - b|$ becomes $W_1$, for every $x$ and $t$ at once.""",
    ),
    Step(
        "A smooth neuron",
        r"|\sigma(\theta_t) - (1-t)\, \sigma(a) - t\, \sigma(b)| \le \tfrac\beta2\, t (1 - t)\, |a - b|^2 \le \tfrac\beta8 |a - b|^2",
        "symbolic",
        _smooth,
        r"""Expand $\sigma(a)$ and $\sigma(b)$ at $\theta_t$: the terms of first order cancel in the average, and each rest is at most $\beta / 2$ times the
squared distance.""",
    ),
    Step(
        "The distance is Lipschitz in the sample",
        r"|W_p(A, B) - W_p(A', B')| \le \frac{\|A - A'\| + \|B - B'\|}{\sqrt m} \le \sqrt{\frac2m}\; \|(A, B) - (A', B')\|",
        "symbolic",
        _lipschitz_in_the_sample,
        r"""The triangle inequality, with the coupling that keeps every neuron's number; for $p = 1$ by the inequality of Cauchy and Schwarz.""",
    ),
    Step(
        "Gaussian concentration",
        r"\mathbb P(F \ge \mathbb E F + r) \le e^{-r^2 / (2 \ell^2)}",
        "cited",
        note=r"""For an $\ell$-Lipschitz function $F$ of independent standard Gaussians (Borell; Tsirelson, Ibragimov and Sudakov; Ledoux, *The Concentration of Measure
Phenomenon*, section 2.3). The neurons are $\Lambda$-Lipschitz images of Gaussians, so $\ell = \Lambda \sqrt{2 / m}$, and $\mathbb E W_p \le S_p^{1/p}$.""",
    ),
    Step(
        "The excess at a confidence",
        r"r = 2 \Lambda \sqrt{\log(1/\delta) / m} \;\Rightarrow\; e^{-m r^2 / (4 \Lambda^2)} = \delta",
        "symbolic",
        _tail,
    ),
    Step(
        "Laws that are Lipschitz images",
        r"\Lambda = \sqrt{\lambda_1}\ (\text{Gaussian}), \quad \sqrt{6 \lambda_1 / \pi}\ (\text{uniform}), \quad q \sqrt{\lambda_1} / \mathrm{sd}\ (\text{truncated Gaussian})",
        "numeric",
        _images,
        r"""The uniform law of variance 1 is $2 \sqrt 3\, (\Phi(Z) - \frac12)$, steepest at 0. The map $T$ from the Gaussian to its truncation has slope $q\,\varphi(z) / \varphi(T(z)) \le q$, as $|T(z)| \le |z|$, with $q$ the mass that is kept and
$\mathrm{sd}$ the standard deviation after the truncation. The computer evaluates the slopes on a grid. For other laws the code falls back on Markov's inequality.""",
    ),
    Step(
        "Trained networks",
        r"W_p(\hat\mu_A, \hat\mu_B) \le W_p(\bar\mu_A, \bar\mu_B) + 2 \varepsilon",
        "cited",
        note=r"""If the neurons of both networks are within $\varepsilon$, in root mean square, of independent draws $\bar\theta_i$ from the law $\rho_T$ of the mean-field limit: the triangle inequality, in the mean square over the draws for a bound in expectation (Minkowski), draw by draw for one with a confidence.
That $\varepsilon$ vanishes with the width is propagation of chaos, Theorem 3.1 of Ferbach et al. (2024) and the works cited there; no explicit constant of practical size is known, so `chaos_error` is the user's to give.""",
    ),
)
