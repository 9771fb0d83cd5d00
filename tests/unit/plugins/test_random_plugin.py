from __future__ import annotations

import base64
import string

import pytest

from sandbox.plugins.provider import Naming, ProviderError, Resource
from sandbox.plugins.random import SPECIAL, RandomProvider, password
from sandbox.plugins.values import UNKNOWN, Secret

PASSWORD = Resource("urn", "random:index/randomPassword:RandomPassword", "pw")
BYTES = Resource("urn", "random:index/randomBytes:RandomBytes", "key")


def test_a_password_has_its_length_and_only_allowed_characters() -> None:
    allowed = set(string.ascii_letters + string.digits)
    made = [password({"length": 40, "special": False}) for _ in range(20)]
    assert {len(one) for one in made} == {40}
    assert set("".join(made)) <= allowed
    assert len(set(made)) == 20


def test_a_password_keeps_its_minimums() -> None:
    inputs = {"length": 8, "minUpper": 2, "minNumeric": 2, "minSpecial": 2, "minLower": 2}
    for _ in range(20):
        made = password(inputs)
        for pool in (string.ascii_uppercase, string.ascii_lowercase, string.digits, SPECIAL):
            assert sum(character in pool for character in made) == 2


def test_own_special_characters_replace_the_usual_ones() -> None:
    inputs = {
        "length": 30,
        "lower": False,
        "upper": False,
        "number": False,
        "overrideSpecial": "_-",
    }
    assert set(password(inputs)) <= {"_", "-"}


def test_contradicting_inputs_are_refused() -> None:
    with pytest.raises(ProviderError, match="cannot hold 5 required characters"):
        password({"length": 3, "minUpper": 5})


def test_every_output_is_secret_and_the_id_tells_nothing() -> None:
    id_, outputs = RandomProvider().create(BYTES, {"length": 32}, 0, preview=False)
    raw = base64.b64decode(outputs["base64"].value)
    assert (len(raw), raw.hex(), id_) == (32, outputs["hex"].value, "none")
    _, outputs = RandomProvider().create(PASSWORD, {"length": 9}, 0, preview=False)
    assert isinstance(outputs["result"], Secret)


def test_a_preview_promises_a_value_without_making_one() -> None:
    _, outputs = RandomProvider().create(PASSWORD, {"length": 9}, 0, preview=True)
    assert outputs["result"] == Secret(UNKNOWN)


def test_any_changed_input_makes_a_new_value() -> None:
    provider = RandomProvider()
    old = {"length": 9, "keepers": {"epoch": "1"}}
    changed = provider.diff(PASSWORD, old, {"length": 9, "keepers": {"epoch": "2"}})
    assert [(change.path, change.replaces) for change in changed.changes] == [("keepers", True)]
    assert not provider.diff(PASSWORD, old, {**old, "length": Secret(9)}).changes


def test_other_types_are_refused_by_name() -> None:
    pet = Resource("urn", "random:index/randomPet:RandomPet", "pet")
    with pytest.raises(ProviderError, match="RandomPet is not covered by the offline plugin"):
        RandomProvider().check(pet, {}, {}, Naming())


def test_a_wrong_length_is_a_failure_of_that_input() -> None:
    _, failures = RandomProvider().check(PASSWORD, {}, {"length": 0}, Naming())
    assert [failure.property for failure in failures] == ["length"]
