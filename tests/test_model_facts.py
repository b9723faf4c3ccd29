"""What a model says about itself, in words; test_cli_info.py has the whole table."""

from conftest import random_network

from fastmnist.model.facts import facts_of
from fastmnist.model.model_file import Model
from fastmnist.shapes import DIGITS


def test_the_facts_are_named_printable_lines():
    model = Model(random_network(), list(DIGITS), "auto", origin={"recipe": {"name": "a\n\x1b"}})
    facts = dict(facts_of(model))
    assert list(facts) == [
        "layers", "parameters", "size", "arithmetic", "recipe", "accuracy", "classes", "temperature", "preprocess",
    ]  # fmt: skip
    assert facts["recipe"] == "a\\n\\x1b"
    assert facts["layers"] == "784-8-10"
    assert all(value.isprintable() for value in facts.values())
