"""Benchmarks: what is compared computes the same, and a ratio is that of the times given."""

import json
import mmap

import pytest
import torch

from benchmarks import generation, head, measure
from benchmarks.correctness import gradient_error, layer_error
from benchmarks.layers import Kind, Textbook, kinds, replace
from bitnet.config.recipe import ModelConfig
from bitnet.model.bitlinear import BitLinear
from bitnet.model.transformer import Transformer
from tests.helpers.project import ROOT

CPU = torch.device("cpu")


def test_the_textbooks_gradients_are_ours_in_float64():
    assert gradient_error() < 1e-12


def test_layers_said_to_compute_the_same_do():
    known, _ = kinds()
    assert {"bitnet", "textbook", "transformers AutoBitLinear"} <= {kind.name for kind in known}
    assert all(layer_error(kind) < 1e-6 for kind in known if kind.same)


def test_a_layer_that_computes_something_else_is_told_apart():
    class Shifted(Textbook):
        def forward(self, x):
            return super().forward(x) * 1.01

    assert layer_error(Kind("shifted", lambda a, b: Shifted(a, b, bias=False))) > 1e-3


def test_replacing_keeps_every_weight_and_leaves_no_layer_of_ours():
    torch.manual_seed(0)
    model = Transformer(ModelConfig(vocab_size=50, hidden_size=32, num_layers=2), 16)
    before = {name: p.clone() for name, p in model.named_parameters()}
    replace(model, Kind("textbook", lambda a, b: Textbook(a, b, bias=False)))
    kinds_now = [type(module) for module in model.modules()]
    assert kinds_now.count(Textbook) == 2 * 6 and BitLinear not in kinds_now
    after = dict(model.named_parameters())
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_ratio_is_the_time_of_two_over_that_of_the_two_around_them(monkeypatch):
    clock = iter([0.0, 1.0, 1.0, 4.0, 4.0, 7.0, 7.0, 9.0])  # a 1 s, b 3 s, b 3 s, a 2 s
    monkeypatch.setattr(measure.time, "process_time", lambda: next(clock))
    found, own = measure.ratios(lambda: None, lambda: None, 1, CPU)
    assert found == [2.0] and own == [1.5]


def test_quartiles_are_those_of_the_five_values():
    assert measure.summary([5, 1, 4, 2, 3]) == {"median": 3, "low": 2, "high": 4}


def test_peak_memory_is_that_of_what_is_allocated():
    if not measure.Path("/proc/self/clear_refs").exists():
        pytest.skip("only Linux lets a process reset its peak")

    def work() -> None:  # mapped for itself: memory that was freed before may be used again
        pages = mmap.mmap(-1, 256 * 2**20)
        for place in range(0, len(pages), mmap.PAGESIZE):
            pages[place] = 1

    mib = measure.peak_memory(work)
    assert mib == pytest.approx(256, abs=40)


def test_every_loss_of_the_head_that_is_compared_is_the_same():
    names = head.ways()
    assert {head.BASE, "ours"} < set(names)
    assert all(head.error(loss, (48, 16, 500)) < 2e-5 for loss in names.values())


def test_the_page_has_the_table_of_the_heads_loss_as_measured():
    rows = json.loads((ROOT / "docs/head.json").read_text(encoding="utf-8"))["rows"]
    assert head.markdown(rows) in (ROOT / "docs/speed.md").read_text(encoding="utf-8")
    assert {row["way"] for row in rows} >= {head.BASE, "F.linear_cross_entropy", "ours"}


def test_every_way_to_write_here_gives_the_same_text():
    model = generation.drawn(32, 2, 61, "ternary")
    ways = generation.ways_here(model)
    assert ways[generation.HERE]() == ways[generation.ENGINE]()
    assert len(ways[generation.HERE]()) == generation.CONTEXT - 1
    found, texts = generation.turns(ways, rounds=2)
    assert set(found) == set(ways) and all(len(each) == 2 for each in found.values())
    assert texts[generation.HERE] == texts[generation.ENGINE]


def test_the_page_has_the_table_of_generation_as_measured():
    rows = json.loads((ROOT / "docs/generation.json").read_text(encoding="utf-8"))["rows"]
    assert generation.markdown(rows) in (ROOT / "docs/speed.md").read_text(encoding="utf-8")
    assert {row["runtime"] for row in rows} >= {generation.HERE, generation.ENGINE}
