"""Two given ReLU networks: the deviation along their path, from what can be measured."""

import itertools
import math

import numpy as np
import sympy as sp

from otlmc.derivations.step import Step

TITLE = "Certificates"
STATEMENT = r"""
Let $U$ and $V$ be two networks on the path $\theta(t) = (1-t)\,\theta_A + t\,\theta_B$, $z^\ell = W^\ell h^{\ell-1} + b^\ell$, $h^\ell = \mathrm{relu}(z^\ell)$, $h^0 = x$, and
for the network at $s \in [0, 1]$ between them let $\bar h_s = (1-s)\, h_U + s\, h_V$. Then for each input and all $s$ at once $|h^\ell_s - \bar h^\ell_s| \le c_\ell$ with $c_0 = 0$ and

$$
c_\ell = \max\bigl\{\|W_U^\ell\|, \|W_V^\ell\|\bigr\}\, c_{\ell-1}
+ \tfrac14 \bigl| (W_V^\ell - W_U^\ell)(h_V^{\ell-1} - h_U^{\ell-1}) \bigr|
+ \Bigl| \Bigl( \frac{|z_U z_V|}{|z_U| + |z_V|}\, 1_{z_U z_V < 0} \Bigr)_{\text{units}} \Bigr| ,
$$

and for the output the same without the last term. If the path is cut into pieces, then on each of them, in every norm over the data (mean, root mean square, maximum),

$$
\bigl\| h_t - (1 - t) h_A - t h_B \bigr\| \;\le\; \max_{\text{both ends of the piece}} \bigl\| h_t - (1 - t) h_A - t h_B \bigr\| + \| c_\ell \| .
$$
"""


def _product() -> bool:
    wu, wv, u, v, s, h = sp.symbols("W_U W_V h_U h_V s h_s")  # scalars stand for the linear maps
    line = (1 - s) * u + s * v
    z = ((1 - s) * wu + s * wv) * h - (1 - s) * wu * u - s * wv * v
    weights = (1 - s) * wu + s * wv
    return sp.expand(z - (weights * (h - line) - s * (1 - s) * (wv - wu) * (v - u))) == 0


def _kink() -> bool:
    p, q, s = sp.symbols("p q s", positive=True)
    top = p / (p + q)  # where (1 - s) p = s q
    value = p * q / (p + q)
    meets = [sp.simplify(side.subs(s, top) - value) for side in ((1 - s) * p, s * q)]
    # relu((1 - s) p - s q) - (1 - s) p: -s q where the line is positive, -(1 - s) p else
    positive = sp.expand((1 - s) * p - s * q - (1 - s) * p + s * q)
    falls, rises = sp.diff((1 - s) * p, s), sp.diff(s * q, s)
    return meets == [0, 0] and positive == 0 and falls == -p and rises == q


def _best_constant() -> bool:
    p, q, s = sp.symbols("p q s", positive=True)
    # min(a, b) <= (1 - w) a + w b; the weight w = 1 - s gives s (1 - s) (p + q)
    mixed = s * (1 - s) * p + (1 - s) * s * q
    below = sp.expand(mixed - s * (1 - s) * (p + q)) == 0
    # equality at p = s, q = 1 - s
    reached = {sp.expand(side.subs({p: s, q: 1 - s})) for side in ((1 - s) * p, s * q)}
    return below and reached == {sp.expand(s * (1 - s))}


def _neuron() -> bool:
    va, vb, p, q, s = sp.symbols("v_A v_B p q s", positive=True)
    vs = (1 - s) * va + s * vb
    # both active, u_A = p and u_B = q
    active = vs * ((1 - s) * p + s * q) - (1 - s) * va * p - s * vb * q
    same = sp.expand(active + s * (1 - s) * (vb - va) * (q - p)) == 0
    # u_A = p, u_B = -q, still active at s: a combination of v_A and v_B - v_A
    flipped = vs * ((1 - s) * p - s * q) - (1 - s) * va * p
    weights = s * q, s * ((1 - s) * p - s * q)
    opposite = sp.expand(flipped + weights[0] * va - weights[1] * (vb - va)) == 0
    return same and opposite and sp.expand(sum(weights) - s * (1 - s) * (p + q)) == 0


def _bounded() -> bool:
    """Evaluate the sharp bound of one neuron on a grid of everything, and how near it comes."""
    ratios = []
    grid = np.linspace(-1, 1, 9)
    for va, vb, u, v, s in itertools.product(grid, grid, grid, grid, np.linspace(0.05, 0.95, 7)):
        relu = max((1 - s) * u + s * v, 0.0)
        deviation = ((1 - s) * va + s * vb) * relu
        deviation -= (1 - s) * va * max(u, 0.0) + s * vb * max(v, 0.0)
        bound = s * (1 - s) * max(abs(va), abs(vb), abs(vb - va)) * abs(u - v)
        if bound > 0:
            ratios.append(abs(deviation) / bound)
    return 1 - 1e-9 < max(ratios) <= 1 + 1e-9


def _gradient() -> bool:
    """Bound the squared distance of a probability vector to a corner by 2, which it reaches."""
    p, rest = sp.symbols("p r", nonnegative=True)
    # |e_1 - pi|^2 with pi_1 = p is at most (1 - p)^2 + (1 - p)^2, as sum pi_j^2 <= (sum pi_j)^2
    bound = 2 * (1 - p) ** 2
    two = sp.expand(rest**2 + (1 - p - rest) ** 2 - (1 - p) ** 2)  # two other classes
    return bound.subs(p, 0) == 2 and sp.expand(two + 2 * rest * (1 - p - rest)) == 0


def _squared() -> bool:
    ya, yb, y, d, t = sp.symbols("y_A y_B y d t", real=True)
    line = (1 - t) * ya + t * yb
    excess = (line + d - y) ** 2 - (1 - t) * (ya - y) ** 2 - t * (yb - y) ** 2
    wanted = 2 * d * (line - y) + d**2 - t * (1 - t) * (ya - yb) ** 2
    return sp.expand(excess - wanted) == 0


def _order() -> bool:
    """Measure the order in which the bound of a piece falls: faster than the piece shrinks."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 4000))
    sizes = 2.0 ** -np.arange(4, 9)
    roots = []
    for size in sizes:
        u, v = a, (1 - size) * a + size * b
        kinks = np.where(u * v < 0, np.abs(u * v) / np.abs(u - v), 0.0)
        roots.append(math.sqrt(np.square(kinks).mean()))
    slope = np.polyfit(np.log(sizes), np.log(roots), 1)[0]
    return bool(1.2 < slope < 1.8)


STEPS = (
    Step(
        "One layer",
        r"z_s - \bar z_s = W_s (h_s - \bar h_s) - s (1 - s)\, (W_V - W_U)(h_V - h_U)",
        "symbolic",
        _product,
        r"""$W_s$ and the bias are linear in $s$, and $h$ is that of the layer below. The last term is known exactly, and $s (1 - s) \le \frac14$. $\|W_s\| \le \max\{\|W_U\|, \|W_V\|\}$, since a norm is convex.""",
    ),
    Step(
        "A unit whose sign differs",
        r"\max_{s} \bigl| \mathrm{relu}((1-s) u + s v) - (1-s)\, \mathrm{relu}(u) - s\, \mathrm{relu}(v) \bigr| = \frac{|u v|}{|u| + |v|}\, 1_{u v < 0}",
        "symbolic",
        _kink,
        r"""Where $u$ and $v$ have one sign, relu is linear between them. Else let $u = p > 0 > v = -q$, the other case being its mirror image: the difference is $-\min\{(1 - s)\, p,\; s\, q\}$, of which one falls and the other rises with $s$; they meet at $s = p / (p + q)$.""",
    ),
    Step(
        "The best constant",
        r"\min\{(1 - s)\, p,\; s\, q\} \le s (1 - s)\, (p + q), \qquad \text{equal for } p : q = s : (1 - s)",
        "symbolic",
        _best_constant,
        r"""The minimum is below every weighted mean. So the deviation of relu is at most $s (1 - s)\, |u - v|$: half of $2 s (1 - s)\, |u - v|$, which is all that an arbitrary 1-Lipschitz function allows, and no constant below 1 will do.""",
    ),
    Step(
        "Layer by layer",
        r"|h_s - \bar h_s| \le |\mathrm{relu}(z_s) - \mathrm{relu}(\bar z_s)| + |\mathrm{relu}(\bar z_s) - \bar h_s|",
        "cited",
        note=r"""The triangle inequality. As relu is 1-Lipschitz, the first is at most $|z_s - \bar z_s|$, bounded by step 1; the second, by step 2, unit by unit. In the first layer $h^0 = x$ is the same in all networks, so that only the second remains.""",
    ),
    Step(
        "In pieces",
        r"h_t - (1-t) h_A - t h_B = (h_t - \bar h_s) + \bigl(\bar h_s - (1-t) h_A - t h_B\bigr)",
        "cited",
        note=r"""On the piece between $U$ and $V$, with $s$ its own parameter. The first bracket is bounded by $c_\ell$; the second is linear in $s$, so that every norm of it, being convex, is largest at an end of the piece, where it was measured. Networks on a path have paths that are straight lines again.""",
    ),
    Step(
        "Pieces close in",
        r"\bigl\| \tfrac{|u v|}{|u| + |v|} 1_{u v < 0} \bigr\|_{\mathrm{rms}} = O(\delta^{3/2}), \qquad v = (1 - \delta)\, u + \delta\, w",
        "numeric",
        _order,
        r"""In a piece of length $\delta$, a part of the order of $\delta$ of the units changes sign, each with a kink of the order of $\delta$; the term of step 1 is of the order of $\delta^2$. The computer fits the slope on Gaussian units. This explains the cost of a sharp certificate; the bound itself does not use it.""",
    ),
    Step(
        "One hidden layer, every input: both active, or a sign that differs",
        r"v_s u_s^+ - (1-s) v_A u_A^+ - s v_B u_B^+ = -s(1-s)(v_B - v_A)(u_B - u_A) \quad\text{or}\quad -s q\, v_A + s\,((1-s) p - s q)\,(v_B - v_A)",
        "symbolic",
        _neuron,
        r"""A neuron computes $v\, \mathrm{relu}(u)$ with $u = \langle w, (x, 1)\rangle$. On the right $u_A = p$, $u_B = -q$ and $(1-s) p > s q$: the weights of $v_A$ and $v_B - v_A$ are not negative and add up to $s (1-s)\, |u_A - u_B|$. With $(1-s) p \le s q$ only $-(1-s)\, p\, v_A$ remains, and
$(1-s)\, p \le s (1-s)\, |u_A - u_B|$ by step 3.""",
    ),
    Step(
        "One hidden layer, every input",
        r"|y_s - \bar y_s| \le s (1-s) \sum_i \max\{|v_{A,i}|, |v_{B,i}|, |v_{B,i} - v_{A,i}|\}\; |\langle w_{B,i} - w_{A,i}, (x, 1) \rangle|",
        "numeric",
        _bounded,
        r"""From step 7, neuron by neuron; each of the three is reached. The sum is at most $|(x, 1)|$ times $\sum_i c_i |w_{B,i} - w_{A,i}|$ (in mean-field scaling, with equal output weights, $\frac14 W_1$ instead of the $\frac12 L\, W_1$ of an arbitrary Lipschitz neuron), and at most $|(x, 1)|\, |c|\, \|W_B - W_A\|$;
summing the layers instead of the neurons gives $|(x, 1)|\, (\max\{\|V_A\|, \|V_B\|\} + \|V_B - V_A\|)\, \|W_B - W_A\|$. The least of the three is `everywhere`, with $s (1 - s) \le \frac14$.""",
    ),
    Step(
        "Cross-entropy",
        r"\mathcal L(y_t) - (1-t)\, \mathcal L(y_A) - t\, \mathcal L(y_B) \le \sqrt2\; \mathbb E\, |y_t - \bar y_t|",
        "symbolic",
        _gradient,
        r"""The loss is convex in the logits, so $\mathcal L(\bar y_t)$ lies below the line. Its gradient $\pi - e_{\mathrm{label}}$ has $|\pi - e_1|^2 = (1 - \pi_1)^2 + \sum_{j > 1} \pi_j^2 \le 2 (1 - \pi_1)^2 \le 2$. One logit is the pair $(0, y)$, with a gradient of at most 1.""",
    ),
    Step(
        "Squared loss",
        r"|\bar y + d - y|^2 - (1-t) |y_A - y|^2 - t |y_B - y|^2 = 2 \langle d, \bar y - y \rangle + |d|^2 - t (1-t)\, |y_A - y_B|^2",
        "symbolic",
        _squared,
        r"""The last term is dropped. On a piece the same holds with its ends in the place of $A$ and $B$; the line through the losses of the piece, less the line through those of $A$ and $B$, is largest at one of its ends.""",
    ),
)
