"""Descriptions of the fields of a spec."""

from typing import Annotated

from pydantic import BaseModel, Field

from toolkit.plugins.described import described


class Parent(BaseModel):
    size: int = 1
    """How large
    it is."""
    plain: int = 2


class Child(Parent):
    said: Annotated[int, Field(description="As its field says.")] = 3
    """Not this."""
    size: int = 4
    """Another size."""


def test_a_field_is_described_by_the_docstring_below_it_in_the_class_that_defines_it_last() -> None:
    assert described(Parent) == {"size": "How large\nit is."}
    assert described(Child) == {"size": "Another size.", "said": "As its field says."}


def test_a_class_without_source_has_no_docstrings_to_read() -> None:
    assert described(type("Made", (BaseModel,), {"__annotations__": {"size": int}, "size": 1})) == {}
