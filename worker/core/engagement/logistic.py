"""
Logistic regression: learnt exactly (iteratively reweighted least squares, to convergence), with a ridge that keeps
coefficients finite where something always or never happens, and put to a calibrated chance by Platt's two parameters.

Small on purpose: tens of features, any number of rows. The sums over rows are polars', the linear system of the
features' size is solved here. The same rows in any order give the same model to the last few digits. It knows nothing
of accounts; ``in_market`` and ``fit`` use it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from worker.core.errors import Fatal

_ROUNDS: Final = 100
_CLOSE: Final = 1e-9
_SMALLEST_SPREAD: Final = 1e-9


@dataclass(frozen=True)
class Logistic:
    """
    Log-odds = intercept + sum of coefficient x (value - mean) / spread. The intercept is what an average row has.
    """

    names: tuple[str, ...]
    means: tuple[float, ...]
    spreads: tuple[float, ...]
    coefficients: tuple[float, ...]
    intercept: float

    def contributions(self) -> list[pl.Expr]:
        """
        What each feature adds to the log-odds of an average row, under the feature's name.
        """
        return [
            ((pl.col(name) - mean) / spread * weight).alias(name)
            for name, mean, spread, weight in zip(self.names, self.means, self.spreads, self.coefficients, strict=True)
        ]

    def log_odds(self) -> pl.Expr:
        """
        The log-odds of a row of features.
        """
        return pl.sum_horizontal(self.contributions()) + self.intercept


def learn(rows: pl.DataFrame, happened: pl.Series, *, ridge: float) -> Logistic:
    """
    The model of ``happened`` by the columns of ``rows`` (numbers without nulls). ``ridge`` is the penalty on a half
    squared coefficient, features being brought to mean 0 and spread 1; the intercept is free.

    Raises Fatal where nothing or everything happened: then there is nothing to tell apart.
    """
    count, positives = len(happened), int(happened.sum())
    if not 0 < positives < count:
        raise Fatal("HW-901", f"{positives} of {count} happened: nothing can be learnt from that")
    names = rows.columns
    means = [float(rows[name].mean() or 0.0) for name in names]  # type: ignore[arg-type]  # of numbers, a number
    spreads = [_spread(rows[name]) for name in names]
    scaled = rows.select(
        (pl.col(name) - mean) / spread for name, mean, spread in zip(names, means, spreads, strict=True)
    ).with_columns(one=pl.lit(1.0), y=happened.cast(pl.Float64))
    columns = ["one", *names]
    beta = [math.log(positives / (count - positives)), *(0.0 for _ in names)]
    penalty = [0.0, *(ridge for _ in names)]
    loss = _loss(scaled, columns, beta, penalty)
    for _ in range(_ROUNDS):
        step = _step(scaled, columns, beta, penalty)
        beta, loss, moved = _taken(scaled, columns, beta, penalty, step, loss)
        if moved < _CLOSE:
            break
    return Logistic(tuple(names), tuple(means), tuple(spreads), tuple(beta[1:]), beta[0])


def chance(log_odds: pl.Expr) -> pl.Expr:
    """
    The chance that goes with log-odds.
    """
    return 1 / (1 + (-log_odds).exp())


def auc(score: pl.Series, happened: pl.Series) -> float:
    """
    How often a row where it happened has the higher score than one where it did not; ties count half.
    """
    positives = int(happened.sum())
    negatives = len(happened) - positives
    if not positives or not negatives:
        raise Fatal("HW-901", "the area under the curve needs both kinds of rows")
    ranks = float(score.rank("average").filter(happened).sum())
    return (ranks - positives * (positives + 1) / 2) / (positives * negatives)


def calibration_error(predicted: pl.Series, happened: pl.Series, groups: int = 10) -> float:
    """
    The mean gap between what was said and what came, over ``groups`` groups of equal size by what was said.
    """
    place = (predicted.rank("ordinal") - 1) * groups // len(predicted)
    gaps = (
        pl.DataFrame({"place": place, "said": predicted, "came": happened.cast(pl.Float64)})
        .group_by("place")
        .agg(gap=(pl.col("said").mean() - pl.col("came").mean()).abs(), rows=pl.len())
    )
    return float((gaps["gap"] * gaps["rows"]).sum() / len(predicted))


def _spread(values: pl.Series) -> float:
    found = float(values.std(ddof=0) or 0.0)  # type: ignore[arg-type]  # of numbers, a number
    return found if found > _SMALLEST_SPREAD else 1.0


def _linear(columns: Sequence[str], beta: Sequence[float]) -> pl.Expr:
    return pl.sum_horizontal(pl.col(name) * weight for name, weight in zip(columns, beta, strict=True))


def _loss(rows: pl.DataFrame, columns: Sequence[str], beta: Sequence[float], penalty: Sequence[float]) -> float:
    z = _linear(columns, beta)
    # log(1 + e^z) without overflow.
    softplus = pl.max_horizontal(z, pl.lit(0.0)) + ((-z.abs()).exp() + 1).log()
    own = float(rows.select((softplus - pl.col("y") * z).sum()).item())
    return own + sum(each * weight * weight / 2 for each, weight in zip(penalty, beta, strict=True))


def _step(rows: pl.DataFrame, columns: Sequence[str], beta: Sequence[float], penalty: Sequence[float]) -> list[float]:
    """
    Newton's step: the Hessian's inverse times the gradient.
    """
    weighed = rows.with_columns(p=chance(_linear(columns, beta))).with_columns(
        w=pl.col("p") * (1 - pl.col("p")), r=pl.col("y") - pl.col("p")
    )
    pairs = [(i, j) for i in range(len(columns)) for j in range(i + 1)]
    sums = weighed.select(
        *((pl.col(name) * pl.col("r")).sum().alias(f"g{i}") for i, name in enumerate(columns)),
        *((pl.col(columns[i]) * pl.col(columns[j]) * pl.col("w")).sum().alias(f"h{i}_{j}") for i, j in pairs),
    ).row(0, named=True)
    gradient = [sums[f"g{i}"] - penalty[i] * beta[i] for i in range(len(columns))]
    hessian = [[0.0] * len(columns) for _ in columns]
    for i, j in pairs:
        hessian[i][j] = hessian[j][i] = sums[f"h{i}_{j}"] + (penalty[i] if i == j else 0.0)
    return solve(hessian, gradient)


def _taken(
    rows: pl.DataFrame,
    columns: Sequence[str],
    beta: list[float],
    penalty: Sequence[float],
    step: Sequence[float],
    loss: float,
) -> tuple[list[float], float, float]:
    """
    The step, halved until it makes the loss no larger; with the new loss and how far it went.
    """
    size = 1.0
    for _ in range(40):
        tried = [old + size * move for old, move in zip(beta, step, strict=True)]
        new = _loss(rows, columns, tried, penalty)
        if new <= loss + 1e-12 * abs(loss):
            return tried, new, max(abs(size * move) for move in step)
        size /= 2
    return beta, loss, 0.0


def solve(matrix: Sequence[Sequence[float]], right: Sequence[float]) -> list[float]:
    """
    The solution of a symmetric positive definite system, by Cholesky's factors.
    """
    size = len(right)
    lower = [[0.0] * size for _ in range(size)]
    for i in range(size):
        for j in range(i + 1):
            rest = matrix[i][j] - math.fsum(lower[i][k] * lower[j][k] for k in range(j))
            if i != j:
                lower[i][j] = rest / lower[j][j]
            else:
                # A direction in which nothing is known (no ridge, a constant feature) is left where it is.
                lower[i][i] = math.sqrt(rest) if rest > 1e-12 else 1e6
    forward = [0.0] * size
    for i in range(size):
        forward[i] = (right[i] - math.fsum(lower[i][k] * forward[k] for k in range(i))) / lower[i][i]
    found = [0.0] * size
    for i in reversed(range(size)):
        found[i] = (forward[i] - math.fsum(lower[k][i] * found[k] for k in range(i + 1, size))) / lower[i][i]
    return found
