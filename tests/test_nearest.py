"""Nearest rows: the same as by comparing with every row, whatever the data look like."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from introspect.nearest import TRIED, Nearest


def low_rank(n: int, rank: int = 5, p: int = 90, noise: float = 0.02, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    h = rng.normal(size=(n, rank)) @ rng.normal(size=(rank, p)) + noise * rng.normal(size=(n, p))
    return (h + 3 * rng.normal(size=p)).astype(np.float16)


def brute(h: np.ndarray, query: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Definition: all distances in float64, sorted."""
    distance = np.linalg.norm(h.astype(np.float64) - query.astype(np.float64), axis=1)
    order = np.argsort(distance, kind="stable")[:count]
    return order, distance[order]


DATA = {
    "close to a subspace": low_rank(3000),
    "one subspace and strangers": np.concatenate([low_rank(2000), 30 * low_rank(50, seed=1)]),
    "no structure at all": np.random.default_rng(2).normal(size=(2500, 90)).astype(np.float16),
    "two far clusters": np.concatenate([low_rank(1500), low_rank(1500, seed=3) + 100]),
    "more dimensions than rows": low_rank(40, p=300),
    "fewer rows than asked for first": low_rank(TRIED // 2),
    "large values": 1000 * low_rank(1000),
}


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("count", [1, 11])
def test_rows_are_those_of_an_exhaustive_search(name: str, count: int) -> None:
    h = DATA[name]
    rng = np.random.default_rng(4)
    near = h[rng.integers(0, len(h), 6)].astype(np.float32)
    far = near + rng.normal(size=near.shape).astype(np.float32) * h.astype(np.float32).std()
    queries = np.concatenate([near, far, 5 * far])
    rows, distances = Nearest.of(h)(torch.from_numpy(queries), count)
    assert rows.shape == distances.shape == (len(queries), count)
    for query, found, distance in zip(queries, rows, distances, strict=True):
        wanted, true = brute(h, query, count)
        np.testing.assert_allclose(distance, true, rtol=2e-4, atol=1e-3)
        assert len(set(found) ^ set(wanted)) == 0


def test_stored_row_is_its_own_nearest_at_distance_zero() -> None:
    h = low_rank(2000)
    rows, distances = Nearest.of(h)(torch.from_numpy(h[[7, 1999]].astype(np.float32)), 3)
    assert rows[:, 0].tolist() == [7, 1999]
    assert distances[:, 0].tolist() == [0.0, 0.0]


def test_few_rows_are_read_where_activations_lie_near_a_subspace() -> None:
    h = low_rank(20_000)
    read = []

    class Watched(np.ndarray):
        def __getitem__(self, key):
            if isinstance(key, np.ndarray):
                read.append(len(key))
            return super().__getitem__(key)

    nearest = Nearest.of(h.view(Watched))
    read.clear()
    nearest(torch.from_numpy(h[:20].astype(np.float32)), 11)
    assert sum(read) / 20 < 2 * TRIED


def test_more_than_there_are_gives_all() -> None:
    h = low_rank(8)
    rows, _ = Nearest.of(h)(torch.from_numpy(h[:1].astype(np.float32)), 50)
    assert sorted(rows[0].tolist()) == list(range(8))
