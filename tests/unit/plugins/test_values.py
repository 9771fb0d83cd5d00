from __future__ import annotations

from sandbox.plugins.values import (
    UNKNOWN,
    Secret,
    from_struct,
    has_secret,
    has_unknown,
    mark_like,
    reveal,
    secret_texts,
    to_struct,
)


def test_values_survive_the_wire() -> None:
    values = {
        "text": "a",
        "whole": 3,
        "part": 0.5,
        "flag": True,
        "list": [1, {"a": "b"}, []],
        "later": UNKNOWN,
        "hidden": Secret({"password": "p"}),
    }
    assert from_struct(to_struct(values)) == values


def test_absent_values_are_left_out_of_objects() -> None:
    assert from_struct(to_struct({"a": None, "b": {"c": None}})) == {"b": {}}


def test_a_secret_inside_a_secret_is_one_secret() -> None:
    sent = from_struct(to_struct({"a": Secret([Secret("x"), "y"])}))
    assert sent == {"a": Secret(["x", "y"])}


def test_a_secret_does_not_show_in_a_repr() -> None:
    assert "p4ss" not in repr({"a": Secret("p4ss")})


def test_unknowns_and_secrets_are_found_at_any_depth() -> None:
    assert has_unknown({"a": [Secret({"b": UNKNOWN})]})
    assert has_secret({"a": [{"b": Secret("x")}]})
    assert not has_unknown({"a": [1]})
    assert not has_secret({"a": [1]})


def test_secretness_is_copied_key_by_key() -> None:
    marked = mark_like({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": Secret(9)}, "e": Secret(1)})
    assert marked == {"a": {"b": Secret(1), "c": 2}, "d": 3}


def test_one_secret_item_makes_the_whole_list_secret() -> None:
    assert mark_like({"env": ["x", "y"]}, {"env": ["x", Secret("y")]}) == {
        "env": Secret(["x", "y"])
    }


def test_revealing_keeps_the_shape() -> None:
    assert reveal({"a": [Secret({"b": Secret(1)})]}) == {"a": [{"b": 1}]}


def test_the_texts_inside_secrets_are_known() -> None:
    assert secret_texts({"a": Secret({"b": "one"}), "c": ["two", Secret("three")]}) == {
        "one",
        "three",
    }
