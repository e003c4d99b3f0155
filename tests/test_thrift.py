"""Too little memory: parts are halved until they fit, and everything comes out all the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from introspect.atlas import Atlas
from introspect.recording import record
from introspect.tap import Tap
from introspect.thrift import Thrift, is_out_of_memory


def test_parts_are_halved_until_they_fit_and_stay_small() -> None:
    tried: list[int] = []

    def work(start: int, stop: int) -> range:
        tried.append(stop - start)
        if stop - start > 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return range(start, stop)

    thrift = Thrift()
    assert [row for part in thrift.run(work, 10) for row in part] == list(range(10))
    assert tried == [10, 5, 2, 2, 2, 2, 2]
    tried.clear()
    thrift.run(work, 4)
    assert tried == [2, 2]


def test_nothing_is_still_worked_on_once() -> None:
    assert Thrift().run(lambda start, stop: (start, stop), 0) == [(0, 0)]


def test_one_sample_that_does_not_fit_ends_it() -> None:
    def work(start: int, stop: int) -> None:
        raise MemoryError

    with pytest.raises(MemoryError, match="one sample"):
        Thrift().run(work, 8)


def test_other_errors_are_passed_on_at_once() -> None:
    tried = []

    def work(start: int, stop: int) -> None:
        tried.append(stop)
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        Thrift().run(work, 8)
    assert tried == [8]


def test_what_torch_says_without_memory_is_understood() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**52, dtype=torch.float64)
    assert is_out_of_memory(caught.value)
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_recording_goes_on_with_smaller_batches(mlp, digits, monkeypatch) -> None:
    whole = record(mlp, digits, batch=256)
    asked = short_of_memory(monkeypatch, 70)
    spared = record(mlp, digits, batch=256)
    assert max(asked) > 70 and asked[-1] <= 70
    np.testing.assert_allclose(spared.h, whole.h, rtol=1e-3, atol=1e-3)
    assert np.array_equal(spared.outputs.argmax(1), whole.outputs.argmax(1))


def test_placing_goes_on_with_smaller_batches(atlas: Atlas, digits, monkeypatch) -> None:
    x = digits.floats(slice(0, 300))
    whole = atlas.engine.locate(x)
    asked = short_of_memory(monkeypatch, 70)
    spared = atlas.engine.locate(x)
    assert max(asked) == 300 and asked[-1] <= 70
    np.testing.assert_allclose(spared.z, whole.z, atol=1e-5)
    assert len(spared.predicted) == 300


def short_of_memory(monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
    """From now on no pass holds more than `most` samples; what was asked for is noted."""
    run, asked = Tap.run, []

    def strict(self, x, *rest, **more):
        asked.append(len(x))
        if len(x) > most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return run(self, x, *rest, **more)

    monkeypatch.setattr(Tap, "run", strict)
    return asked
