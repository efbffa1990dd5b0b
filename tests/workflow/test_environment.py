"""What a record says of the software that a result was made with."""

import sys

import torch

from workflow.provenance import environment as module
from workflow.provenance.environment import KEPT, environment


def test_the_environment_names_versions():
    found = environment()
    assert found["torch"] == torch.__version__
    assert found["python"] == ".".join(str(part) for part in sys.version_info[:3])
    assert all(isinstance(value, str) for value in found.values())


def test_a_record_says_which_packages_are_not_those_of_the_constraints(tmp_path, monkeypatch):
    own, plain = torch.__version__, torch.__version__.partition("+")[0]
    monkeypatch.setattr(module, "CONSTRAINTS", tmp_path / "constraints.txt")
    for text, said in (
        (f"# all\ntorch=={plain}\nnot-installed==1.0\n", KEPT),
        ("torch==0.1\nnot-installed==1.0\n", f"torch=={own}"),
    ):
        module.CONSTRAINTS.write_text(text)
        assert environment()["constraints"] == said
    module.CONSTRAINTS.unlink()
    assert "constraints" not in environment()
