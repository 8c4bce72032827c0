"""Two-layer networks of ReLU and its kin: the deviation along the path is of the order W_2^(4/3)."""

import math

import numpy as np
import sympy as sp

from otlmc.bounds import TwoLayer, kink_metric
from otlmc.derivations.step import Step
from otlmc.laws import Gaussian, Uniform
from otlmc.wasserstein import distance

TITLE = "Neurons with a kink"
STATEMENT = r"""
Let $f(x; \theta) = \frac1m \sum_i \psi(\langle \theta_i, x \rangle)$ with $\psi$ linear but for a kink at 0, where its slope jumps by $J$: ReLU, leaky ReLU, the absolute value.
Let the neurons of $A$ and of $B$ be independent draws from a centred law of total variance $V$ for which $\langle \theta, x \rangle$ has a density of at most $F$, whatever $|x| = 1$. Permute those of $B$ by
the matching that is optimal in $W_2$, let $\theta(t) = (1 - t)\, \theta_A + t\, \theta_B$ and $S_2 = \mathbb E W_2^2$. Then

$$
\mathbb E \sup_{|x| \le R,\, t} \bigl| f(x; \theta(t)) - (1 - t) f(x; \theta_A) - t f(x; \theta_B) \bigr|
\;\le\; J R \Bigl[ \frac38 \Bigl(\frac{F S_2^2}{3}\Bigr)^{1/3} + \sqrt{V / m} \Bigr] .
$$

For given inputs $x$ with densities of at most $F_x$, let $F$ be the harmonic mean of the $F_x$. The mean over these inputs of $\sup_t$ has the same bound with $R = 1$, without $\sqrt{V / m}$, and
with the distances of the metric $|v|^2 = \operatorname{mean}_x \frac{F_x}F \langle v, x \rangle^2$.

With probability at least $1 - 2 \delta$ the supremum itself is at most $J R \bigl[ k w^2 + F / (384\, k^2) + \sqrt{V / m} + \sqrt{\log(1 / \delta) / m} \,/\, (128\, k) \bigr]$, for any
$k > 0$ and any $w$ that $W_2$ exceeds with probability at most $\delta$.
"""


def _opposite_signs() -> bool:
    t, u, v = sp.symbols("t u v", positive=True)
    # ends u and -v; where the mixture (1 - t) u - t v is positive it leaves the chord by t v
    below = sp.expand((1 - t) * u - t * v - (1 - t) * u) == -t * v
    crossing = sp.solve(sp.Eq(t * v, (1 - t) * u), t)
    return (
        below
        and crossing == [u / (u + v)]
        and sp.simplify(t * v - u * v / (u + v)).subs(t, crossing[0]).simplify() == 0
    )


def _distance_or_kink() -> bool:
    y, z, k = sp.symbols("y z k", positive=True)

    def near(s: sp.Expr) -> sp.Expr:
        return s / 4 - 2 * k * s**2

    gap = near(y) + near(z) - (y * z / (y + z) - k * (y + z) ** 2)
    return sp.simplify(gap - (y - z) ** 2 * (1 / (4 * (y + z)) - k)) == 0


def _near_the_kink() -> bool:
    y, k, density, cost = sp.symbols("y k F S", positive=True)
    near = y / 4 - 2 * k * y**2
    mass = 2 * 2 * density * sp.integrate(near, (y, 0, 1 / (8 * k)))
    if sp.simplify(mass - density / (384 * k**2)) != 0:
        return False
    best = (density / (192 * cost)) ** sp.Rational(1, 3)
    total = k * cost + density / (384 * k**2)
    stationary = sp.simplify(sp.diff(total, k).subs(k, best)) == 0
    value = sp.Rational(3, 8) * (density * cost**2 / 3) ** sp.Rational(1, 3)
    return stationary and sp.simplify(sp.powsimp(total.subs(k, best) / value, force=True)) == 1


def _mirrored() -> bool:
    u, reach, density, cost = sp.symbols("u r F S", positive=True)
    square = 2 * density * sp.integrate((2 * u) ** 2, (u, 0, reach))
    deviation = 2 * density * sp.integrate(u * u / (2 * u), (u, 0, reach))
    at = (3 * cost / (8 * density)) ** sp.Rational(1, 3)
    value = sp.Rational(3, 8) * (density * cost**2 / 3) ** sp.Rational(1, 3)
    same_cost = sp.simplify(square.subs(reach, at) - cost) == 0
    return same_cost and sp.simplify(sp.powsimp(deviation.subs(reach, at) / value, force=True)) == 1


def _slope_of_near() -> bool:
    y, k = sp.symbols("y k", positive=True)
    near = y / 4 - 2 * k * y**2
    slope = sp.diff(near, y)
    ends = {slope.subs(y, 0), sp.simplify(slope.subs(y, 1 / (8 * k)))}
    largest = sp.simplify(near.subs(y, 1 / (16 * k)) - 1 / (128 * k)) == 0
    return ends == {sp.Rational(1, 4), -sp.Rational(1, 4)} and largest


def _all_inputs() -> bool:
    """Hold the supremum over the circle against its bound, for Gaussian neurons; 5 sigma."""
    rng, width, shift = np.random.default_rng(0), 64, 0.3
    angles = np.linspace(0, math.pi, 400)
    inputs = np.stack([np.cos(angles), np.sin(angles)])
    found = []
    for _ in range(400):
        y = np.abs(rng.standard_normal((width, 2)) @ inputs)
        found.append(np.maximum(y / 4 - 2 * shift * y * y, 0.0).mean(0).max())
    mean = 2 / math.sqrt(2 * math.pi) / (1536 * shift**2)
    error = np.std(found) / math.sqrt(len(found))
    return bool(np.mean(found) <= mean + 0.5 * math.sqrt(2 / width) + 5 * error)


def _given_inputs() -> bool:
    """Run the statement on anisotropic inputs, half-way along the path; 5 sigma."""
    rng, law, width = np.random.default_rng(1), Gaussian(3), 32
    x = rng.standard_normal((60, 3)) * np.array([1.0, 0.5, 0.1])
    network, (metric, _) = TwoLayer(law, kink=1.0, inputs=x), kink_metric(law, x)
    found = []
    for _ in range(50):
        a, b = law.sample(width, rng), law.sample(width, rng)
        b = b[distance(a, b, metric=metric).permutation]
        u, v = x @ a.T, x @ b.T
        middle = np.maximum((u + v) / 2, 0).mean(1)
        found.append(np.abs(middle - (np.maximum(u, 0) + np.maximum(v, 0)).mean(1) / 2).mean())
    error = np.std(found) / math.sqrt(len(found))
    return bool(np.mean(found) <= float(network.deviation(width)) + 5 * error)


def _projections() -> bool:
    """Compare with the density of a sum of uniforms along the diagonal of a square: exact."""
    density = Uniform(2).projection_density()
    side = math.sqrt(12.0)
    diagonal = math.sqrt(2.0) / side  # length of the diagonal over the area
    gaussian = Gaussian(spectrum=[4.0, 1.0]).projection_density()
    return math.isclose(density, diagonal) and math.isclose(gaussian, 1 / math.sqrt(2 * math.pi))


def _chance() -> bool:
    m, k, r, delta = sp.symbols("m k r delta", positive=True)
    change = 1 / (128 * k * m)  # of the mean, when one of the 2 m neurons changes
    exponent = 2 * r**2 / (2 * m * change**2)
    at = sp.sqrt(sp.log(1 / delta) / m) / (128 * k)
    return sp.simplify(exponent.subs(r, at) - sp.log(1 / delta)) == 0


STEPS = (
    Step(
        "A neuron with a kink",
        r"""\bigl|\psi((1-t) u + t v) - (1-t)\, \psi(u) - t\, \psi(v)\bigr|
\le J\, \frac{|u|\, |v|}{|u| + |v|}\, \mathbb 1\{u v < 0\}""",
        "symbolic",
        _opposite_signs,
        r"""Here $u = \langle a, x \rangle$ and $v = \langle b, x \rangle$. A linear function contributes nothing, so that $\psi$ may be $J$ times ReLU. If $u$ and $v$ have one sign,
the path stays on a linear piece. Else it leaves the chord by $J \min\{t |v|, (1 - t) |u|\}$ or the same with the ends exchanged, which is largest where both are equal.""",
    ),
    Step(
        "Far apart, or near the kink",
        r"""\frac{y z}{y + z} \le k\, (y + z)^2 + g_k(y) + g_k(z), \qquad g_k(y) = \bigl(\tfrac y4 - 2 k y^2\bigr)_+ , \quad k, y, z > 0""",
        "symbolic",
        _distance_or_kink,
        r"""Without the positive parts the right side exceeds the left one by $(y - z)^2 \bigl(\frac1{4 (y + z)} - k\bigr)$, and positive parts only add. So the inequality holds for
$4 k (y + z) \le 1$; beyond, $y z / (y + z) \le (y + z) / 4 \le k (y + z)^2$ already. With $y = |u|$ and $z = |v|$ of opposite signs, $y + z = |u - v| \le |x|\, |a - b|$. As no
property of the matching was used but the distances, their dependence on the neurons does no harm.""",
    ),
    Step(
        "Few neurons are near their kink",
        r"""2\, \mathbb E\, g_k(|\langle a, x \rangle|) \le 4 F \int_0^\infty g_k(y)\, dy = \frac{F}{384\, k^2}, \qquad
\min_k \Bigl( k S_2 + \frac{F}{384\, k^2} \Bigr) = \frac38 \Bigl(\frac{F S_2^2}3\Bigr)^{1/3}""",
        "symbolic",
        _near_the_kink,
        r"""For $|x| = 1$; the factor 2 counts $a$ and $b$. The minimum is at $k^3 = F / (192\, S_2)$. Both sides of the statement are homogeneous in $x$ and in $J$.""",
    ),
    Step(
        "It cannot be better with so little known",
        r"""2 F \int_0^r (2 u)^2\, du = S_2 \quad \Rightarrow \quad 2 F \int_0^r \frac{u \cdot u}{u + u}\, du = \frac38 \Bigl(\frac{F S_2^2}3\Bigr)^{1/3}""",
        "symbolic",
        _mirrored,
        r"""If the density of $\langle a, x \rangle$ is $F$ around 0, a coupling that mirrors all $|u| < r$ at the kink, $v = -u$, and moves nothing else attains the first term. That optimal matchings do not do so
is seen in simulations; a proof would have to use that they are optimal.""",
    ),
    Step(
        "The two slopes and the height of the bump",
        r"|g_k'| \le \tfrac14, \qquad \max g_k = \frac1{128\, k}",
        "symbolic",
        _slope_of_near,
    ),
    Step(
        "All inputs at once",
        r"""\mathbb E \sup_{|x| = 1} \Bigl[ \frac1m \sum_i g_k(|\langle a_i, x \rangle|) - \mathbb E g_k \Bigr]
\le \frac2m\, \mathbb E \sup_{|x| = 1} \sum_i \epsilon_i\, g_k(|\langle a_i, x \rangle|) \le \frac1{2m}\, \mathbb E \Bigl| \sum_i \epsilon_i a_i \Bigr| \le \frac12 \sqrt{\frac Vm}""",
        "numeric",
        _all_inputs,
        r"""Symmetrisation with independent random signs $\epsilon_i$, and the contraction principle for functions of slope at most $\frac14$ that vanish at 0 ({cite:t}`ledoux1991`, section 4.2). Once for
$A$ and once for $B$. The computer takes the supremum over a fine grid of the circle.""",
    ),
    Step(
        "The mean over given inputs",
        r"""\operatorname{mean}_x \Bigl[ k_x\, \langle a - b, x \rangle^2 + \frac{F_x}{384\, k_x^2} \Bigr]
= k\, |a - b|^2 + \frac F{384\, k^2}, \qquad k_x = k\, \frac{F_x}F, \quad \operatorname{mean}_x \frac F{F_x} = 1""",
        "numeric",
        _given_inputs,
        r"""Here $y + z = |\langle a - b, x \rangle|$ is kept as it is, and every input has a $k_x$ of its own. No input is the worst one, and no supremum has to be paid for; nor does the confidence change, as
$\operatorname{mean}_x 1 / (128\, k_x) = 1 / (128\, k)$. This choice of $k_x$ makes both sides homogeneous in every single $x$. The computer draws pairs of ReLU networks, matches them in the metric and
compares.""",
    ),
    Step(
        "Densities of projections",
        r"F = \frac1{\sqrt{2 \pi \lambda_{\min}}}\ (\text{Gaussian}), \qquad F \le \sqrt2\, \max_i \sup f_i\ (\text{product law})",
        "numeric",
        _projections,
        r"""With $f_i$ the density of coordinate $i$. Of the sums of independent variables whose densities have given suprema, uniform ones have the largest ({cite:t}`rogozin1987`), and a section of the
unit cube through its centre has an area of at most $\sqrt2$ ({cite:t}`ball1986`), which the diagonal of a square attains. Coordinates without variance do not count: with $P x$ the projection of $x$ on the
others, $\langle \theta, x \rangle = \langle \theta, P x \rangle$ and $|P x| \le |x|$.""",
    ),
    Step(
        "A kink, with a confidence",
        r"r = \frac1{128\, k} \sqrt{\frac{\log(1/\delta)}m} \;\Rightarrow\; \exp\Bigl( - \frac{2 r^2}{2 m\, (128\, k\, m)^{-2}} \Bigr) = \delta",
        "symbolic",
        _chance,
        r"""The supremum over $x$ of the sums of $g_k$ of both networks changes by at most $1 / (128\, k\, m)$ with one of the $2 m$ neurons: the inequality of {cite:t}`mcdiarmid1989`. The code spends half of the risk here and half on
$W_2^2$, and takes any $k$ that does not depend on the sample.""",
    ),
    Step(
        "Trained networks",
        r"""g_k(|\langle \theta, x \rangle|) \le g_k(|\langle \bar\theta, x \rangle|) + \tfrac14 |\theta - \bar\theta|, \qquad |x| = 1""",
        "cited",
        note=r"""By the slopes of $g_k$. If the neurons of both networks are within $\varepsilon$, in root mean square, of independent draws, this adds $\varepsilon / 4$ for each network, and
$2 \varepsilon$ to $W_2$ as for {doc}`other neurons <two_layer>`.""",
    ),
)
