"""Product laws: in a suitable orthonormal basis the coordinates are independent.

A Gaussian with any covariance is one, in the eigenbasis of its covariance; no other law stays one
after a rotation.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otlmc import _check
from otlmc.marginals import (
    GAUSSIAN,
    LAPLACE,
    UNIFORM,
    Marginal,
    from_quantile,
    truncated_gaussian,
)

Array = NDArray[np.float64]
Seed = int | np.random.Generator | np.random.SeedSequence


@dataclass(frozen=True, eq=False)
class Block:
    """The coordinates that share a marginal: the marginal and their variances, descending."""

    marginal: Marginal
    variances: Array


class Law:
    """A centred product law.

    Parameters
    ----------
    marginals : sequence of Marginal
        One marginal for all coordinates, or one each.
    variances : ndarray, shape (dim,)
        Variance of each independent coordinate.
    basis : ndarray, shape (dim, dim), optional
        Orthonormal columns along which the coordinates are independent; the standard basis if
        left out.
    """

    def __init__(
        self, marginals: Sequence[Marginal], variances: Array, basis: Array | None = None
    ) -> None:
        if len(marginals) not in (1, len(variances)):
            raise ValueError(f"`marginals`: {len(marginals)} for {len(variances)} coordinates")
        total = variances.sum()
        # multiples and parts of it must be floats as well
        if not 1e-300 <= total <= 1e300:
            raise ValueError(f"the total variance must be within 1e-300 and 1e300, got {total}")
        self.marginals = tuple(marginals)
        self.variances = variances
        self.basis = basis

    @property
    def dim(self) -> int:
        """Dimension of a neuron."""
        return len(self.variances)

    @property
    def spectrum(self) -> Array:
        """Variances of the independent coordinates, descending, shape (dim,)."""
        return np.sort(self.variances)[::-1]

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The coordinates of positive variance, grouped by marginal."""
        if len(self.marginals) == 1:
            groups = {self.marginals[0]: self.variances}
        else:
            members: dict[Marginal, list[float]] = {}
            for marginal, variance in zip(self.marginals, self.variances, strict=True):
                members.setdefault(marginal, []).append(variance)
            groups = {marginal: np.array(values) for marginal, values in members.items()}
        return tuple(Block(m, np.sort(v[v > 0])[::-1]) for m, v in groups.items() if v.max() > 0)

    @property
    def lipschitz(self) -> float:
        """Lipschitz constant of a map that carries a standard Gaussian vector to the law."""
        return max(b.marginal.lipschitz * float(np.sqrt(b.variances[0])) for b in self.blocks)

    def projection_density(self) -> float:
        """Bound the density of <neuron, e> over unit vectors e.

        Exact for a Gaussian; for others the square root of 2 times the largest density of a
        coordinate, the inequalities of Rogozin and of Ball (1986). Directions without variance, in
        which <neuron, e> is 0, do not count.

        Examples
        --------
        >>> round(Gaussian(spectrum=[4.0, 1.0, 0.0]).projection_density(), 6)     # 1 / sqrt(2 pi)
        0.398942
        """
        peak = max(b.marginal.peak / math.sqrt(b.variances[-1]) for b in self.blocks)
        return float(peak if self._gaussian else math.sqrt(2.0) * peak)

    def density_along(self, inputs: ArrayLike) -> Array:
        """Bound the density of <neuron, x> for every given x, as :meth:`projection_density` does.

        Parameters
        ----------
        inputs : array_like, shape (n, dim)
            The vectors x.

        Returns
        -------
        ndarray, shape (n,)
            Infinite where <neuron, x> is 0.

        Examples
        --------
        >>> law = Gaussian(spectrum=[4.0, 1.0, 0.0])
        >>> law.density_along([[1, 0, 0], [0, 0.5, 0]]).round(6)            # 1/2 and 2 times 0.399
        array([0.199471, 0.797885])
        """
        along = _check.finite("inputs", inputs, ndim=2)
        if along.shape[1] != self.dim:
            raise ValueError(f"`inputs` must have {self.dim} columns, got {along.shape[1]}")
        along = along if self.basis is None else along @ self.basis
        if self._gaussian:
            scales = math.sqrt(2 * math.pi) * np.sqrt(along**2 @ self.variances)
        else:
            norms = np.linalg.norm(along[:, self.variances > 0], axis=1)
            scales = norms / self.projection_density()
        return np.divide(1.0, scales, out=np.full_like(scales, np.inf), where=scales > 0)

    @property
    def _gaussian(self) -> bool:
        return all(block.marginal == GAUSSIAN for block in self.blocks)

    def sample(self, width: int, rng: Seed) -> Array:
        """Draw ``width`` independent neurons, shape (width, dim)."""
        generator = np.random.default_rng(rng)
        shape = (_check.positive_int("width", width), self.dim)
        if self.marginals == (GAUSSIAN,):
            values = generator.standard_normal(shape)
        else:
            uniform = generator.uniform(np.finfo(float).tiny, 1.0, shape)
            if len(self.marginals) == 1:
                values = self.marginals[0].quantile(uniform)
            else:
                columns = zip(self.marginals, uniform.T, strict=True)
                values = np.stack([m.quantile(u) for m, u in columns], axis=1)
        values = values * np.sqrt(self.variances)
        return values if self.basis is None else values @ self.basis.T

    def scaled(self, factor: float) -> "Law":
        """Return the law of ``factor`` times a neuron."""
        factor = _check.number("factor", factor, above=0.0)
        return Law(self.marginals, factor * (factor * self.variances), self.basis)

    def in_metric(self, metric: ArrayLike) -> "Law":
        """Return the law of ``metric**0.5 @ neuron``, whose distances are those of the metric.

        Parameters
        ----------
        metric : array_like, shape (dim, dim)
            A positive semi-definite matrix Sigma; ``|v|^2`` becomes ``v^T Sigma v``.

        Raises
        ------
        ValueError
            If the law is not Gaussian and ``metric`` is not diagonal in the coordinates of the
            law: only a Gaussian stays a product law after a rotation.

        Examples
        --------
        >>> Gaussian(dim=2).in_metric([[2.0, 0.0], [0.0, 3.0]]).spectrum
        array([3., 2.])
        """
        eigenvalues, vectors = eigenbasis("metric", metric)
        if len(eigenvalues) != self.dim:
            raise ValueError(f"`metric` must have {self.dim} rows, got {len(eigenvalues)}")
        sigma = np.asarray(metric, dtype=np.float64)
        own = sigma if self.basis is None else self.basis.T @ sigma @ self.basis
        diagonal = np.diag(own)
        if np.abs(own - np.diag(diagonal)).max() <= 1e-12 * np.abs(own).max():
            return Law(self.marginals, np.clip(diagonal, 0, None) * self.variances, self.basis)
        if self.marginals != (GAUSSIAN,):
            raise ValueError(
                "`metric` is not diagonal in the coordinates of the law, and only a Gaussian "
                f"stays a product law after a rotation, not {self!r}: bound the metric by a "
                "diagonal matrix instead (from above for an upper bound, from below for a lower)"
            )
        root = (vectors * np.sqrt(eigenvalues)) @ vectors.T
        columns = np.eye(self.dim) if self.basis is None else self.basis
        factor = root @ (columns * np.sqrt(self.variances))
        return Law(self.marginals, *eigenbasis("metric", factor @ factor.T))

    def __repr__(self) -> str:
        """Name the law with its dimension and total variance."""
        names = " x ".join(dict.fromkeys(marginal.name for marginal in self.marginals))
        return f"{names}(dim={self.dim}, total variance={self.variances.sum():.6g})"


class Gaussian(Law):
    """A centred Gaussian, given by its dimension, its covariance or its spectrum.

    Parameters
    ----------
    dim : int, optional
        Dimension, for unit variances.
    covariance : array_like, shape (dim, dim), optional
        A symmetric positive semi-definite matrix.
    spectrum : array_like, shape (dim,), optional
        Variances of independent coordinates.

    Raises
    ------
    ValueError
        Unless exactly one of the three is given, and is finite, non-negative and not all zero.

    Examples
    --------
    >>> Gaussian(covariance=[[2.0, 1.0], [1.0, 2.0]]).spectrum
    array([3., 1.])
    """

    def __init__(
        self,
        dim: int | None = None,
        *,
        covariance: ArrayLike | None = None,
        spectrum: ArrayLike | None = None,
    ) -> None:
        if covariance is None:
            super().__init__((GAUSSIAN,), _variances(dim, spectrum))
            return
        if dim is not None or spectrum is not None:
            raise ValueError("give exactly one of `dim`, `covariance` and `spectrum`")
        super().__init__((GAUSSIAN,), *eigenbasis("covariance", covariance))


class Uniform(Law):
    """Uniform on a centred box whose side i has length ``sqrt(12 * spectrum[i])``.

    Examples
    --------
    >>> Uniform(dim=2).sample(4, rng=0).shape
    (4, 2)
    """

    def __init__(self, dim: int | None = None, *, spectrum: ArrayLike | None = None) -> None:
        super().__init__((UNIFORM,), _variances(dim, spectrum))


class Laplace(Law):
    """Independent two-sided exponential coordinates: exponential tails, no Gaussian concentration.

    Examples
    --------
    >>> Laplace(dim=3).lipschitz
    inf
    """

    def __init__(self, dim: int | None = None, *, spectrum: ArrayLike | None = None) -> None:
        super().__init__((LAPLACE,), _variances(dim, spectrum))


class TruncatedGaussian(Law):
    """Gaussian coordinates conditioned on lying within ``bound`` standard deviations of 0.

    Initialisers called LeCun or He "truncated normal" draw such weights, with ``bound=2``.

    Parameters
    ----------
    dim, spectrum
        As in :class:`Gaussian`; the variances are those after the truncation.
    bound : float
        Where the coordinates are cut, in standard deviations before the truncation; at least 0.1,
        where the law is uniform up to 0.2 % of its density.

    Examples
    --------
    >>> TruncatedGaussian(dim=1).marginals[0].name
    'Gaussian truncated at 2'
    """

    def __init__(
        self, dim: int | None = None, *, spectrum: ArrayLike | None = None, bound: float = 2.0
    ) -> None:
        marginal = truncated_gaussian(_check.number("bound", bound, least=0.1))
        super().__init__((marginal,), _variances(dim, spectrum))


class Product(Law):
    """Independent coordinates given by their quantile functions, shifted to mean 0.

    Parameters
    ----------
    quantiles : sequence of callable
        One vectorised quantile function for each coordinate; each strictly increasing.

    Raises
    ------
    ValueError
        For a law with atoms, which cannot be cut into halves of equal mass, of infinite variance,
        or with a gap in its support or a jump of its density, which quadrature does not resolve
        (:func:`otlmc.marginals.from_quantile`).

    Examples
    --------
    >>> skewed = Product([lambda u: -np.log1p(-u)])      # the exponential law
    >>> round(float(skewed.variances[0]), 3)
    1.0
    """

    def __init__(self, quantiles: Sequence[Callable[[Array], ArrayLike]]) -> None:
        if not quantiles:
            raise ValueError("`quantiles` is empty")
        known: dict[Callable, tuple[Marginal, float]] = {}
        for index, quantile in enumerate(quantiles):
            if not callable(quantile):
                raise TypeError(f"`quantiles` must hold functions, got {quantile!r}")
            if quantile not in known:
                known[quantile] = from_quantile(f"coordinate {index}", quantile)
        marginals, variances = zip(*(known[quantile] for quantile in quantiles), strict=True)
        super().__init__(marginals, np.array(variances))


def _variances(dim: int | None, spectrum: ArrayLike | None) -> Array:
    if (dim is None) == (spectrum is None):
        raise ValueError("give exactly one of `dim` and `spectrum` (or `covariance`, if Gaussian)")
    if spectrum is None:
        return np.ones(_check.positive_int("dim", dim))
    variances = _check.finite("spectrum", spectrum, ndim=1)
    if variances.min() < 0 or variances.max() == 0:
        raise ValueError("`spectrum` must be non-negative and not all zero")
    return variances


def eigenbasis(name: str, matrix: ArrayLike) -> tuple[Array, Array]:
    """Return the eigenvalues and eigenvectors of a positive semi-definite matrix."""
    values = _check.finite(name, matrix, ndim=2)
    if values.shape[0] != values.shape[1]:
        raise ValueError(f"`{name}` must be square, got shape {values.shape}")
    scale = np.abs(values).max()
    if np.abs(values - values.T).max() > 1e-10 * scale:
        raise ValueError(f"`{name}` must be symmetric")
    eigenvalues, vectors = np.linalg.eigh(0.5 * (values + values.T))
    if eigenvalues[0] < -1e-10 * scale or eigenvalues[-1] <= 0:
        raise ValueError(
            f"`{name}` must be positive semi-definite and not zero; its smallest eigenvalue is "
            f"{eigenvalues[0]:.3g}"
        )
    return np.clip(eigenvalues, 0, None), vectors
