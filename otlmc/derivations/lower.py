"""The lower bounds on the matching cost, and why it does not increase with the width."""

import itertools
import math

import numpy as np
import sympy as sp
from scipy import optimize

from otlmc.bounds.nearest import density_bound, mean_bound, nearest_neighbour_bound
from otlmc.bounds.rate_distortion import rate_distortion
from otlmc.derivations.step import Step
from otlmc.laws import Gaussian, Uniform
from otlmc.wasserstein import distance

TITLE = "Lower bounds"
STATEMENT = r"""
For two independent samples of $m$ neurons of a law with covariance $C$, in whatever way they are matched:

$$
S_2(m) \ge D(\log_2 m), \qquad S_2(m) \ge \frac{2 \operatorname{tr} C}{m}, \qquad S_p(m) \ge \mathbb E \min_j |a - b_j|^p \ge
(F \omega_k)^{-p/k}\, \frac{\Gamma(1 + \frac pk)\, \Gamma(m + 1)}{\Gamma(m + 1 + \frac pk)},
$$

and $S_1(m) \ge 2 \sqrt{\operatorname{tr} C / (\pi m)}$ for a Gaussian law, with $D(R) = \inf \{\mathbb E|X - Y|^2 : X, Y \sim \mu,\ I(X; Y) \le R \text{ bits}\}$, $F$ the supremum of the density of any $k$ of the coordinates and $\omega_k$
the volume of the unit ball of $\mathbb R^k$. Also $S_p(m + 1) \le S_p(m)$.
"""


def _birkhoff() -> bool:
    """Compare doubly stochastic matrices with the best permutation, on random examples."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.standard_normal((2, 5, 2))
        costs = ((a[:, None] - b[None]) ** 2).sum(-1)
        rows, columns = optimize.linear_sum_assignment(costs)
        best = costs[rows, columns].mean()
        if not math.isclose(distance(a, b).cost, best, rel_tol=1e-9):
            return False
        mixed = sum(np.eye(5)[rng.permutation(5)] for _ in range(9)) / 9
        if (mixed * costs).sum() / 5 < best - 1e-12:
            return False
    return True


def _leave_one_out() -> bool:
    rng = np.random.default_rng(1)
    for p in (1, 2):
        for _ in range(20):
            a, b = rng.standard_normal((2, 6, 3))
            smaller = [distance(np.delete(a, i, 0), np.delete(b, i, 0), p=p).cost for i in range(6)]
            if distance(a, b, p=p).cost > np.mean(smaller) + 1e-12:
                return False
    return True


def _stationary() -> bool:
    rho, scale, nu = sp.symbols("rho lambda nu", positive=True)
    distortion = 2 * scale * (1 - rho)
    rate = -sp.log(1 - rho**2) / 2
    multiplier = sp.Symbol("mu", positive=True)
    condition = sp.solve(sp.diff(distortion, rho) + multiplier * sp.diff(rate, rho), multiplier)
    ratio = nu / scale
    root = 2 / (ratio + sp.sqrt(ratio**2 + 4))
    solved = sp.simplify(scale * (1 - root**2) / root - nu) == 0
    return solved and sp.simplify(condition[0] - 2 * scale * (1 - rho**2) / rho) == 0


def _optimal() -> bool:
    spectrum, bits = np.array([3.0, 1.0, 0.2]), 2.5

    def rate(rho: np.ndarray) -> float:
        return float(-0.5 * np.log2(1 - rho**2).sum())

    found = optimize.minimize(
        lambda rho: float(np.sum(2 * spectrum * (1 - rho))),
        np.full(3, 0.5),
        bounds=[(0, 0.9999)] * 3,
        constraints={"type": "ineq", "fun": lambda rho: bits - rate(rho)},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    return math.isclose(found.fun, rate_distortion(Gaussian(spectrum=spectrum), bits), rel_tol=1e-6)


def _entropy_power() -> bool:
    h, var, rho = sp.symbols("h lambda rho", positive=True)
    power = 2 ** (2 * h) / (2 * sp.pi * sp.E)
    gap = h - sp.log(2 * sp.pi * sp.E * var * (1 - rho**2), 2) / 2
    formula = sp.log(power / var / (1 - rho**2), 2) / 2
    return sp.simplify(sp.expand_log(gap - formula, force=True)) == 0


def _mean() -> bool:
    """Enumerate fair signs, m = 3, in whole numbers: E (sum a - sum b)^2 = 2 m."""
    signs = list(itertools.product((-1, 1), repeat=6))
    squares = sum((sum(s[:3]) - sum(s[3:])) ** 2 for s in signs)
    same = squares == 2 * 3 * len(signs)
    return same and math.isclose(mean_bound(Gaussian(spectrum=[2.0, 1.0]), 3), 2.0)


def _mean_of_order_one() -> bool:
    x = sp.Symbol("x", positive=True)
    half_normal = 2 * sp.integrate(x * sp.exp(-(x**2) / 2), (x, 0, sp.oo)) / sp.sqrt(2 * sp.pi)
    scale, trace, m = sp.symbols("v T m", positive=True)
    value = (half_normal * sp.sqrt(scale)).subs(scale, 2 * trace / m)
    return sp.simplify(value - 2 * sp.sqrt(trace / (sp.pi * m))) == 0 and math.isclose(
        mean_bound(Gaussian(spectrum=[2.0, 1.0]), 3, 1), float(value.subs({trace: 3, m: 3}))
    )


def _density() -> bool:
    u, q, m = sp.symbols("u q m", positive=True)
    value = sp.gamma(1 + q) * sp.gamma(m + 1) / sp.gamma(m + 1 + q)
    # E U^q for P(U > u) = (1 - u)^m, u = F omega_k r^k and q = p / k: q times a Beta integral
    beta = q * sp.gamma(q) * sp.gamma(m + 1) / sp.gamma(q + m + 1)
    example = sp.integrate((q * u ** (q - 1) * (1 - u) ** m).subs({q: 2, m: 5}), (u, 0, 1))
    symbolic = sp.gammasimp(value - beta) == 0 and example == value.subs({q: 2, m: 5})
    return bool(symbolic) and math.isclose(density_bound(Uniform(2), 9), 12 / math.pi / 10)


def _nearest() -> bool:
    rng, law, width = np.random.default_rng(2), Gaussian(3), 32
    nearest = [
        ((law.sample(1, rng) - law.sample(width, rng)) ** 2).sum(1).min() for _ in range(20_000)
    ]
    bound, error = nearest_neighbour_bound(law, width), np.std(nearest) / math.sqrt(len(nearest))
    return bool(abs(np.mean(nearest) - bound) <= 5 * error + 1e-3 * bound)


STEPS = (
    Step(
        "Matching is optimal transport",
        r"W_p^p(\hat\mu_A, \hat\mu_B) = \min_\pi \frac1m \sum_i |a_i - b_{\pi(i)}|^p",
        "numeric",
        _birkhoff,
        r"""A coupling of two uniform measures on $m$ points is a doubly stochastic matrix over $m$; the cost is linear, so that an extreme point is optimal; and the extreme points are the
permutation matrices (Birkhoff 1946, von Neumann 1953).""",
    ),
    Step(
        "Wider is not worse",
        r"S_p(m + 1) \le S_p(m)",
        "numeric",
        _leave_one_out,
        r"""The empirical measure of $m + 1$ points is the average over $i$ of those without the $i$-th; averaging optimal couplings of the pairs of subsamples gives a coupling of the whole, so its cost is at
most the average of theirs (the optimal cost is jointly convex). Each pair of subsamples is two samples of $m$.""",
    ),
    Step(
        "A permutation carries few bits",
        r"I(X; Y) \le I(X; Y, B) = I(X; Y \mid B) \le H(Y \mid B) \le \log_2 m",
        "cited",
        note=r"""Let $I$ be uniform on $1, \dots, m$, independent of the samples, $X = a_I$ and $Y = b_{\pi(I)}$. As $\pi$ is a bijection, $X \sim \mu$, $Y \sim \mu$ and $\mathbb E|X - Y|^2 = S_2(m)$ for the optimal $\pi$. $X$ is independent of $B$ (which gives the equality), and given $B$ the variable
$Y$ takes at most $m$ values. The rules for mutual information: Cover and Thomas, *Elements of Information Theory*, chapter 2. So $S_2(m) \ge D(\log_2 m)$.""",
    ),
    Step(
        "The Gaussian case",
        r"\lambda_i\, \frac{1 - \rho_i^2}{\rho_i} = \nu, \qquad \rho_i = \frac{2}{\nu/\lambda_i + \sqrt{(\nu/\lambda_i)^2 + 4}}, \qquad \sum_i -\tfrac12 \log_2 (1 - \rho_i^2) = R",
        "symbolic",
        _stationary,
        r"""With $X$ of independent coordinates $I(X; Y) \ge \sum_i I(X_i; Y_i)$, and for Gaussian $X_i$ correlated $\rho_i$ with $Y_i$ of equal variance $I(X_i; Y_i) \ge -\frac12 \log_2(1 - \rho_i^2)$, with equality for jointly Gaussian pairs. So $D$ is the least of $\sum 2 \lambda_i (1 - \rho_i)$ under the constraint; its Lagrange condition has the same $\nu$ for
all $i$. The root is written without cancellation.""",
    ),
    Step(
        "The minimum is one",
        r"D(R) = \min_\rho \sum_i 2 \lambda_i (1 - \rho_i)",
        "numeric",
        _optimal,
        "Compared with a constrained optimiser; the objective is linear and the constraint convex.",
    ),
    Step(
        "Other product laws",
        r"I(X_i; Y_i) \ge h(X_i) - \tfrac12 \log_2\bigl(2 \pi e\, \lambda_i (1 - \rho_i^2)\bigr) = \tfrac12 \log_2 \frac{N_i / \lambda_i}{1 - \rho_i^2}",
        "symbolic",
        _entropy_power,
        r"""$h(X_i \mid Y_i)$ is at most the entropy of a Gaussian with the variance of the linear prediction error. $N_i$ is the entropy power; where the right-hand side is negative no rate is asked for.""",
    ),
    Step(
        "Means",
        r"S_2(m) \ge \mathbb E\,|\bar a - \bar b|^2 = 2 \operatorname{tr} C / m",
        "numeric",
        _mean,
        r"""Any coupling moves the mean of one sample to that of the other: $\frac1m \sum_i |a_i - b_{\pi(i)}|^p \ge |\bar a - \bar b|^p$ by Jensen's inequality. The $2m$ terms of $\bar a - \bar b$ are independent of mean zero after the shift that $a$ and $b$ share; the
computer enumerates three fair signs on either side.""",
    ),
    Step(
        "Means of order 1, for a Gaussian",
        r"S_1(m) \ge \mathbb E\,|\bar a - \bar b| \ge \sqrt{\tfrac2\pi} \sqrt{\mathbb E\,|\bar a - \bar b|^2} = 2 \sqrt{\frac{\operatorname{tr} C}{\pi m}}",
        "symbolic",
        _mean_of_order_one,
        r"""A centred Gaussian vector with variances $v_i$ of sum $v$ has $|Z| = \sqrt v\, \bigl(\sum_i \frac{v_i}v g_i^2\bigr)^{1/2} \ge \sqrt v \sum_i \frac{v_i}v |g_i|$ with standard Gaussian $g_i$, as the root is concave; and $\mathbb E |g_i| = \sqrt{2 / \pi}$. Here
$v = 2 \operatorname{tr} C / m$. Other laws of given variance may have a mean absolute value as small as one likes.""",
    ),
    Step(
        "Nearest neighbours",
        r"S_p(m) \ge \mathbb E \min_j |a - b_j|^p = \mathbb E_a \int_0^\infty \bigl(1 - \mathbb P(|b - a| \le r)\bigr)^m\, \mathrm d(r^p)",
        "numeric",
        _nearest,
        r"""No partner is nearer than the nearest neighbour. For a Gaussian with equal variances $|b - a|^2$ is a non-central chi-square variable, and the integral over $r$ is evaluated from below, by its lower sums; that over $|a|$ by Gauss's rule on its quantiles, which came out low, too, wherever it was held against ten times as many nodes. Projecting onto the leading
coordinates only brings points together, so a block of equal variances of a larger law will do. The computer compares it with 20 000 draws.""",
    ),
    Step(
        "Densities",
        r"\mathbb P(\min_j |a - b_j| > r) \ge (1 - F \omega_k r^k)_+^m \;\Rightarrow\; \mathbb E \min_j |a - b_j|^p \ge (F \omega_k)^{-p/k}\, \frac{\Gamma(1 + \frac pk)\, \Gamma(m + 1)}{\Gamma(m + 1 + \frac pk)}",
        "symbolic",
        _density,
        r"""A ball of radius $r$ has mass at most $F \omega_k r^k$; substitute $u = F \omega_k r^k$ and read off a Beta integral. It is the form of Theorem 5.3 of Ferbach et al. (2024) with its constant. The code takes the best $k$.""",
    ),
)
