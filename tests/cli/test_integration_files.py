"""`changegate integration apply` and `export`: integrations as a file under version control."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import select

from changegate.cli.integrations.applying import apply_integrations
from changegate.cli.integrations.integration_file import read_file, render_file
from changegate.extensions import db
from changegate.models import OAuthEntity
from changegate.schemas.integration_input import load_integration
from changegate.services.integrations.integrations import list_integrations
from changegate.services.integrations.saving import register_integration
from changegate.yaml_text import mapping_items, parse_yaml, read_mapping, render_yaml
from tests.cli.conftest import Outcome, Run
from tests.support.certificates import certificate, pem

SHOP = """
integrations:
  - name: Shop
    preset: github-actions
    audiences: [https://change.example.com]
    claim_conditions:
      - repository_id equals 613905472
      - claim: ref
        operator: one_of
        value: [refs/heads/main, refs/heads/next]
        report_only: true
    run_as: admin
    token_format: JWT
    public_client: true
  - name: Warehouse
    provider_name: Example CI
    issuer: https://ci.example.com
    jwks_url: https://ci.example.com/jwks.json
    user_field: email
    public_client: false
"""


class Desk:
    """Files that are applied to the instance of the test."""

    def __init__(self, run: Run, folder: Path) -> None:
        self.run = run
        self.file = folder / "integrations.yaml"

    def apply(self, text: str, *options: str) -> Outcome:
        self.file.write_text(text)
        return self.run("integration", "apply", "-f", str(self.file), *options)

    def applied(self, text: str, *options: str) -> list[dict[str, Any]]:
        ended = self.apply(text, "--json", *options)
        assert ended.code == 0, ended.err
        found: list[dict[str, Any]] = json.loads(ended.out)
        return found

    def actions(self, text: str) -> list[tuple[str, str, list[str]]]:
        return [(one["name"], one["action"], one["changed"]) for one in self.applied(text)]

    def export(self, *client_ids: str) -> str:
        ended = self.run("integration", "export", *client_ids)
        assert (ended.code, ended.err) == (0, "")
        return ended.out

    def listed(self) -> dict[str, dict[str, Any]]:
        return {one["name"]: one for one in json.loads(self.run("integration", "list", "--json").out)}


@pytest.fixture
def desk(run_prepared: Run, tmp_path: Path) -> Desk:
    return Desk(run_prepared, tmp_path)


def test_registers_what_a_file_names_and_shows_each_secret_once(desk: Desk) -> None:
    shop, warehouse = desk.applied(SHOP)
    assert (shop["action"], shop["client_secret"], len(warehouse["client_secret"])) == ("create", None, 43)
    found = desk.listed()
    assert found["Shop"]["client_id"] == shop["client_id"]
    assert (found["Shop"]["issuer"], found["Shop"]["token_format"]) == (
        "https://token.actions.githubusercontent.com",
        "jwt",
    )
    assert found["Shop"]["claim_conditions"][1]["report_only"] is True
    assert found["Warehouse"]["audiences"] == [warehouse["client_id"]]


def test_applying_again_changes_nothing(desk: Desk) -> None:
    desk.apply(SHOP)
    before = desk.listed()
    assert desk.actions(SHOP) == [("Shop", "keep", []), ("Warehouse", "keep", [])]
    assert desk.apply(SHOP).out == "Shop: unchanged\nWarehouse: unchanged\n"
    assert desk.listed() == before


def test_lists_the_changes(desk: Desk) -> None:
    desk.apply(SHOP)
    changed = SHOP.replace("613905472", "613905473").replace("user_field: email", "run_as: admin")
    told = desk.apply(changed).out.splitlines()
    assert [told[0], *told[2:]] == [
        "Shop: changed",
        "Warehouse: changed",
        "  run_as: nothing -> admin",
        "  user_field: email -> nothing",
    ]
    kept = "'report-only: ref one_of refs/heads/main, refs/heads/next'"
    before, after = (f"'repository_id equals {number}', {kept}" for number in (613905472, 613905473))
    assert told[1] == f"  claim_conditions: {before} -> {after}"
    commented = changed.replace("run_as: admin\n", f"run_as: admin\n    comments: {'x' * 200}\n", 1)
    assert desk.apply(commented).out.splitlines()[1] == f"  comments: nothing -> {'x' * 100}…"
    assert desk.actions(commented) == [("Shop", "keep", []), ("Warehouse", "keep", [])]


def test_fields_missing_in_a_file_return_to_their_defaults(desk: Desk) -> None:
    desk.apply(SHOP.replace("user_field: email", "user_field: email\n    clock_skew_seconds: 10\n    owner: admin"))
    assert desk.actions(SHOP)[1] == ("Warehouse", "change", ["clock_skew_seconds", "owner"])


def test_a_file_does_not_enable_a_disabled_integration(desk: Desk) -> None:
    [shop, _] = desk.applied(SHOP)
    desk.run("integration", "disable", shop["client_id"])
    assert desk.actions(SHOP)[0] == ("Shop", "keep", [])
    assert desk.listed()["Shop"]["active"] is False
    assert desk.actions(SHOP.replace("name: Shop", "name: Shop\n    active: true"))[0] == ("Shop", "change", ["active"])


def test_integrations_missing_in_a_file_are_kept(desk: Desk) -> None:
    desk.apply(SHOP)
    desk.apply("integrations: []\n")
    assert desk.listed().keys() == {"Shop", "Warehouse"}


def test_a_name_is_matched_whatever_its_case(desk: Desk) -> None:
    desk.apply(SHOP)
    assert desk.actions(SHOP.replace("Shop", "SHOP"))[0] == ("SHOP", "change", ["name"])
    assert desk.listed().keys() == {"SHOP", "Warehouse"}


def test_a_dry_run_lists_all_changes_and_makes_none(desk: Desk) -> None:
    told = desk.apply(SHOP, "--dry-run")
    assert told.out == "Shop: would be registered\nWarehouse: would be registered\n"
    assert [one["client_secret"] for one in desk.applied(SHOP, "--dry-run")] == [None, None]
    assert desk.listed() == {}
    bad = SHOP.replace("user_field: email", "user_field: mail")
    desk.apply(bad, "--dry-run").assert_refused("user_field: Must be one of")


@pytest.mark.parametrize("dry_run", [(), ("--dry-run",)])
def test_one_invalid_integration_refuses_the_whole_file(desk: Desk, dry_run: tuple[str, ...]) -> None:
    desk.apply(SHOP.replace("user_field: email", "run_as: nobody"), *dry_run).assert_refused(
        "integrations.yaml, line 19, column 5: run_as: There is no active user nobody."
    )
    assert desk.listed() == {}


def test_all_errors_are_reported_at_once_with_their_lines(desk: Desk) -> None:
    bad = SHOP.replace("repository_id equals", "ref equals").replace("user_field: email", "user_field: mail")
    ended = desk.apply(bad)
    assert (ended.code, ended.out) == (1, "")
    first, second = ended.err.splitlines()
    assert "line 6, column 5: claim_conditions: GitHub Actions signs for everybody" in first
    assert "line 19, column 5: user_field: Must be one of: email" in second


REFUSED_FILES = {
    "nothing": ("", "line 1, column 1: Write the integrations as a list under integrations."),
    "a comment": ("# nothing\n", "Write the integrations as a list"),
    "another key": ("integration: []\n", "line 1, column 1: Unknown key"),
    "no list": ("integrations: {name: x}\n", "line 1, column 15: A list is expected here."),
    "no mapping": ("integrations:\n  - Shop\n", "line 2, column 5: A mapping of keys to values is expected here."),
    "an unknown field": (
        SHOP.replace("token_format:", "tokenformat:"),
        "line 13, column 5: tokenformat: Unknown field.",
    ),
    "a repeated key": (SHOP.replace("run_as:", "name:"), "line 12, column 5: The key name occurs twice."),
    "a repeated inner key": (
        SHOP.replace("operator: one_of", "claim: ref"),
        "line 9, column 9: The key claim occurs twice.",
    ),
    "a repeated top key": (
        "integrations: []\nintegrations: []\n",
        "line 2, column 1: The key integrations occurs twice",
    ),
    "a repeated name": (SHOP.replace("Warehouse", "SHOP"), "line 15, column 5: The name is already used in line"),
    "an alias": ("integrations: [&a {name: x}, *a]\n", "line 1, column 30: Aliases are not supported"),
    "a bomb": (
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nintegrations: [*c, *c]\n",
        "line 2, column 8: Aliases are not supported",
    ),
    "a merge": ("a: &a {name: x}\nintegrations:\n  - <<: *a\n", "line 3, column 9: Aliases are not supported"),
    "an object": (
        "integrations:\n  - !!python/object/apply:os.system [exit]\n",
        "line 2, column 5: Tags are not supported",
    ),
    "a tag of a type": ("integrations: [{name: !!str 12}]\n", "line 1, column 23: Tags are not supported"),
    "a tag of a mapping": ("integrations: [!!map {name: x}]\n", "line 1, column 16: Tags are not supported"),
    "a tag of its own": ("%TAG ! tag:x,1:\n---\nintegrations: [{!a name: x}]\n", "line 3, column 17: Tags are not"),
    "a tag that names no type": ("integrations: [{name: ! x}]\n", "line 1, column 23: Tags are not supported"),
    "a tag": ("integrations: [{name: !!binary aGk=}]\n", "line 1, column 23: Tags are not supported"),
    "a list as a key": ("integrations: [{? [a] : b}]\n", "line 1, column 19: A key must be a string."),
    "a number as a key": ("integrations:\n- name: x\n  12: y\n", "line 3, column 3: A key must be a string."),
    "a key repeated in quotes": ("integrations:\n- name: x\n  'name': y\n", "line 3, column 3: The key name occurs"),
    "not YAML": ("integrations: [\n", "Invalid YAML"),
    "two documents": ("--- {}\n--- {}\n", "line 2, column 1: Invalid YAML"),
    "a control character": ("integrations:\n- name: a\x01\n", "line 2, column 1: The line contains a character"),
    "depth": ("[" * 1_000_000, "line 1, column 22: The value is nested too deeply."),
    "depth of mappings": ("{a: " * 100_000, "line 1, column 82: The value is nested too deeply."),
    "depth of a block": ("- " * 100_000, "line 1, column 43: The value is nested too deeply."),
    "inner depth": ("integrations: [{name: " + "[" * 30 + "]" * 30 + "}]", "nested too deeply"),
    "an endless number": (SHOP + "    clock_skew_seconds: 1e999\n", "line 21, column 5: clock_skew_seconds: "),
    "size": ("#" * 1_100_000, "The file is longer than 1048576 characters."),
    "number": ("integrations: [{name: x}" + ", {name: x}" * 1000 + "]", "at most 1000 integrations"),
}


@pytest.mark.parametrize("case", REFUSED_FILES)
def test_an_ambiguous_file_is_refused_with_the_line(desk: Desk, case: str) -> None:
    text, sentence = REFUSED_FILES[case]
    desk.apply(text).assert_refused(sentence)


def test_bytes_that_are_not_text_are_refused(desk: Desk) -> None:
    desk.file.write_bytes(b"\xff\xfe\x00")
    desk.run("integration", "apply", "-f", str(desk.file)).assert_refused("is not valid UTF-8")
    desk.run("integration", "apply", "-f", str(desk.file / "x")).assert_refused("integrations.yaml/x: ")


def test_an_unquoted_word_stays_a_string() -> None:
    """YAML 1.1 takes these for a boolean, an octal number, a base-60 number and a date."""
    node = parse_yaml("a: no\nb: 0123\nc: 12:30\nd: 2030-01-31\ne: 0x10\nf: true\ng: 12\nh: 1.5\ni: ~\nj: '12'\n")
    assert node is not None
    assert read_mapping(node).value == {
        **{"a": "no", "b": "0123", "c": "12:30", "d": "2030-01-31", "e": "0x10"},
        **{"f": True, "g": 12, "h": 1.5, "i": None, "j": "12"},
    }


def test_an_export_is_read_as_the_integrations_that_it_shows(desk: Desk) -> None:
    desk.apply(SHOP)
    text = desk.export()
    assert desk.actions(text) == [("Shop", "keep", []), ("Warehouse", "keep", [])]
    assert yaml.safe_load(text)["integrations"][0]["claim_conditions"] == [
        "repository_id equals 613905472",
        "report-only: ref one_of refs/heads/main, refs/heads/next",
    ]
    shop = desk.listed()["Shop"]["client_id"]
    assert f"# client id: {shop}" in text
    assert [one["name"] for one in yaml.safe_load(desk.export(shop))["integrations"]] == ["Shop"]


def test_an_export_without_integrations_is_a_valid_file(desk: Desk) -> None:
    assert desk.actions(desk.export()) == []


def test_an_export_holds_no_secret_and_applying_it_keeps_them(desk: Desk, app: Flask) -> None:
    secret = "0123456789abcdefghijklmnopqrstuv"
    keys = f"key_source: shared_key\n    verifier_maps: [{{name: main, shared_key: {secret}}}]"
    given = SHOP.replace("jwks_url: https://ci.example.com/jwks.json", keys)
    client_secret = desk.applied(given)[1]["client_secret"]
    text = desk.export()
    with app.app_context():
        sealed = db.session.execute(select(OAuthEntity.static_keys).where(OAuthEntity.name == "Warehouse")).scalar_one()
    assert not [found for found in (secret, client_secret, sealed) if found in text]
    assert desk.actions(text) == [("Shop", "keep", []), ("Warehouse", "keep", [])]
    assert desk.actions(given) == [("Shop", "keep", []), ("Warehouse", "keep", [])]
    other = desk.apply(given.replace(secret, secret[::-1]))
    assert "verifier_maps: main (shared key) -> main (shared key)" in other.out
    assert secret[::-1] not in other.out


def test_an_export_of_an_integration_that_is_disabled_says_so(desk: Desk) -> None:
    [shop, _] = desk.applied(SHOP)
    desk.run("integration", "disable", shop["client_id"])
    assert yaml.safe_load(desk.export())["integrations"][0]["active"] is False


def test_exporting_an_unknown_integration_is_refused(desk: Desk) -> None:
    desk.run("integration", "export", "0" * 32).assert_refused("There is no integration with the client ID")


LINES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=40)
TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\x7f\0"), max_size=60),
    st.sampled_from(["no", "1e3", "0123", "~", "12", "- a", "# x", "a: b", " x", "x\n\ny", "x \ny", "1_0", "=", "<<"]),
)


@given(st.dictionaries(LINES, st.recursive(TEXTS | st.integers(), st.lists, max_leaves=4), max_size=4))
@hypothesis_settings(max_examples=150)
def test_rendered_yaml_is_read_as_what_was_rendered(value: dict[str, Any]) -> None:
    node = parse_yaml(render_yaml(value))
    assert node is not None
    assert read_mapping(node).value == value
    assert [key for key, _, _ in mapping_items(node)] == [*value]


@pytest.mark.parametrize("number", [10**31, -(2**128), 10**99])
def test_a_whole_number_stays_whole(number: int) -> None:
    node = parse_yaml(render_yaml({"a": number}))
    assert node is not None
    assert repr(read_mapping(node).value) == repr({"a": number})


PRINTABLE = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=30)
LINE = PRINTABLE.map(str.strip).filter(lambda text: text and text.isprintable())
CONDITIONS = st.sampled_from(
    ["a equals 1", "run equals:number 1", "b exists", "report-only: /x/y contains z", '"my claim" one_of ["a,b"]']
)
SOURCES: list[dict[str, Any]] = [
    {"jwks_url": "https://ci.example.com/jwks.json"},
    {"key_source": "certificates", "verifier_maps": [{"name": "main", "certificate": pem(certificate()), "kid": "1"}]},
    {"key_source": "shared_key", "verifier_maps": [{"name": "no", "shared_key": "0123456789abcdefghijklmnopqrstuv"}]},
]
OTHER_FIELDS = st.fixed_dictionaries(
    {"name": LINE, "provider_name": LINE, "issuer": LINE.filter(lambda text: not set(text) & set("{}<>"))},
    optional={
        "comments": st.text(st.sampled_from("ab \n\t:#'\"-é"), max_size=40),
        "preset": st.sampled_from(["jenkins", "kubernetes", "spiffe"]),
        "audiences": st.lists(LINE, max_size=3),
        "claim_conditions": st.lists(CONDITIONS, max_size=3),
        "replay_policy": st.sampled_from(["once-if-present", "reusable-until-exp"]),
        "required_typ": st.sampled_from(["at+jwt", None]),
        "review_date": st.dates().map(str),
        "owner": st.just("Admin"),
        "active": st.booleans(),
        "scope_restriction": st.booleans(),
        "clock_skew_seconds": st.integers(0, 300),
        "token_format": st.sampled_from(["opaque", "JWT"]),
    },
)


@given(OTHER_FIELDS, st.sampled_from(SOURCES), st.sampled_from([{"run_as": "admin"}, {"user_field": "email"}]))
@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_exported_changes_nothing_when_it_is_applied(
    app: Flask, fields: dict[str, Any], source: dict[str, Any], subject: dict[str, Any]
) -> None:
    with app.app_context():
        register_integration(load_integration({**fields, **source, **subject}), by="admin")
        entries = read_file(render_file(list_integrations()), shown_as="export")
        [applied] = apply_integrations(entries)
        assert (applied.action, applied.changes) == ("keep", {})
        db.session.rollback()
