"""What a record says of the software that a result was made with."""

import sys

import torch

from workflow.provenance.environment import environment


def test_the_environment_names_versions():
    found = environment()
    assert found["torch"] == torch.__version__
    assert found["python"] == ".".join(str(part) for part in sys.version_info[:3])
    assert all(isinstance(value, str) for value in found.values())
