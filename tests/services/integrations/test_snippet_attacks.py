"""Values of an integration stay values in every snippet, whatever they contain: nothing of them is run or replaced."""

import ast
import json
import re
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from changegate.printable import printable
from changegate.services.integrations.snippet_layouts import SNIPPET_LAYOUTS
from changegate.services.integrations.snippets import Snippet, SnippetContext, list_snippets
from tests.support.snippet_texts import groovy_strings_of, script_of, structure_of

HARMLESS = SnippetContext(
    client_id="CLIENT",
    is_public=True,
    audience="AUDIENCE",
    issuer="ISSUER",
    base_url="BASE",
    connection_type="jwt_bearer",
)
ATTACKS = (
    "'; touch pwned; '",
    '"; touch pwned; "',
    "'''; touch pwned; '''",
    '""" + open("pwned", "w") + """',
    "$(touch pwned)",
    "`touch pwned`",
    "${HOME}$HOME$env:HOME",
    "${{ secrets.TOKEN }}",
    "$(System.AccessToken)",
    "{{ lookup('pipe', 'touch pwned') }}",
    "{% for x in y %}[[ 7 * 7 ]]",
    "<< pipeline.parameters.token >>",
    "\\'; touch pwned; \\",
    "a\\nb\\u0027\\",
    "x: y\n- touch pwned\n  run: touch pwned",
    "line\u2028break\x85\r\n",
    "\u2019; touch pwned; \u2018",
    "# touch pwned",
    "*alias &anchor !tag %PATH% @x | >",
    "\N{GRINNING FACE} \N{LATIN SMALL LETTER U WITH DIAERESIS}",
)
EVERY_ATTACK = pytest.mark.parametrize("attack", ATTACKS)
# In place of the programs that scripts call: functions that note their arguments, and answer what scripts look for.
PROGRAMS = """\
note() {
  printf '%s\\0' "$@" >> calls
  echo '{"access_token": "x", "value": "x", "oidcToken": "x", "svid": "x", "number": "x"}'
}
curl() { note "$@"; }
circleci() { note "$@"; }
buildkite-agent() { note "$@"; }
spire-agent() { note "$@"; }
aws() { note "$@"; }
"""
# How the command of a provider is given the audience.
PLAIN_AUDIENCE = ("buildkite", "spiffe", "aws-sts")
AUDIENCE_PARAMETER = ("github-actions", "google", "auth0")
PROVIDER_VARIABLES = (
    *(layout.run for layout in SNIPPET_LAYOUTS.values() if layout.run),
    *("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "SYSTEM_OIDCREQUESTURI", "SYSTEM_ACCESSTOKEN"),
    *("PROVIDER_CLIENT_ID", "PROVIDER_CLIENT_SECRET", "PROVIDER_SCOPE", "COGNITO_DOMAIN", "RESOURCE", "ASSERTION"),
    *("BITBUCKET_STEP_OIDC_TOKEN", "TFC_WORKLOAD_IDENTITY_TOKEN_CHANGEGATE"),
)


@cache
def snippets_with(text: str) -> list[Snippet]:
    """Return the snippets of every layout with a text as each value."""
    target = replace(HARMLESS, client_id=text, audience=text, issuer=f"i{text}", base_url=f"b{text}")
    conditions = [
        {"claim": claim, "operator": "equals", "value": text}
        for claim in ("environment", "ref", "event_name", "branchName", "build_branch", "pipeline_source", "sub")
    ]
    target = replace(target, claim_conditions=conditions if text != "harmless" else ())
    found = {
        snippet.name: snippet
        for preset in (None, *SNIPPET_LAYOUTS)
        for snippet in list_snippets(replace(target, preset=preset))
    }
    assert found.keys() == SNIPPET_LAYOUTS.keys()
    return list(found.values())


def of(name: str, text: str) -> str:
    return next(snippet.text for snippet in snippets_with(text) if snippet.name == name)


@EVERY_ATTACK
def test_a_shell_passes_each_value_on_and_runs_none(
    attack: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in PROVIDER_VARIABLES:
        monkeypatch.setenv(name, "made-up")
    shown = printable(attack)
    requested = {"circleci": json.dumps({"aud": shown}), **dict.fromkeys(PLAIN_AUDIENCE, shown)}
    requested |= dict.fromkeys(AUDIENCE_PARAMETER, f"audience={shown}")
    for snippet in snippets_with(attack):
        script = script_of(snippet)
        if script is None:
            continue
        (tmp_path / "calls").unlink(missing_ok=True)
        script = script.replace("/var/run/changegate/token", "/dev/null")
        command = ["bash", "-euc", PROGRAMS + script]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (snippet.name, done.stderr)
        assert done.stdout.splitlines()[-1] == "Created x"
        arguments = (tmp_path / "calls").read_text().split("\0")
        assert f"client_id={shown}" in arguments, snippet.name
        assert f"b{shown}/oauth_token.do" in arguments, snippet.name
        assert snippet.name not in requested or requested[snippet.name] in arguments, snippet.name
        assert [path.name for path in tmp_path.iterdir()] == ["calls"], snippet.name


@EVERY_ATTACK
def test_nothing_is_left_for_a_provider_to_replace(attack: str) -> None:
    for snippet in snippets_with(attack):
        text = snippet.text
        if snippet.name == "github-actions":
            assert "${{" not in text
        if snippet.name == "circleci":
            assert "<<" not in text
        if snippet.name in {"azure-pipelines", "kubernetes"}:
            assert "$(System.AccessToken)" not in text.replace("SYSTEM_ACCESSTOKEN: $(System.AccessToken)", "").replace(
                f"audience: {json.dumps(attack)}", ""
            )
        if snippet.name == "gitlab":
            audience = structure_of(text)["create-change"]["id_tokens"]["ASSERTION"]["aud"]
            assert audience.replace("$$", "") == printable(attack).replace("$", "")
        if snippet.name == "buildkite":
            assert "$" not in text.replace("$$", "")


@EVERY_ATTACK
def test_yaml_keeps_its_structure_and_its_values(attack: str) -> None:
    for name, layout in SNIPPET_LAYOUTS.items():
        if ".yml" in layout.template:
            assert _shape(structure_of(of(name, attack))) == _shape(structure_of(of(name, "harmless"))), name


@EVERY_ATTACK
def test_ansible_takes_no_value_for_a_template(attack: str) -> None:
    [play] = structure_of(of("ansible", attack))
    assert play["vars"] == {"changegate": f"b{printable(attack)}", "client_id": printable(attack)}
    nodes = dict(_nodes(yaml.compose(of("ansible", attack))))
    assert nodes[play["vars"]["changegate"]] == nodes[play["vars"]["client_id"]] == "!unsafe"


@EVERY_ATTACK
@pytest.mark.parametrize("name", ["python", "pysnc"])
def test_python_reads_each_value_as_a_literal(attack: str, name: str) -> None:
    tree, harmless = (ast.parse(of(name, text)) for text in (attack, "harmless"))
    constants = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert {printable(attack), f"b{printable(attack)}"} <= constants
    for node in (*ast.walk(tree), *ast.walk(harmless)):
        if isinstance(node, ast.Constant):
            node.value = ""
    assert ast.dump(tree) == ast.dump(harmless)


@EVERY_ATTACK
def test_powershell_reads_each_value_as_a_literal(attack: str) -> None:
    literal = re.compile("'((?:[^'\u2018-\u201b]|['\u2018-\u201b]{2})*)'")
    text, harmless = of("powershell", attack), of("powershell", "harmless")
    values = [re.sub("(['\u2018-\u201b])['\u2018-\u201b]", r"\1", value) for value in literal.findall(text)]
    assert {printable(attack), f"b{printable(attack)}"} <= {*values}
    assert literal.sub("", text) == literal.sub("", harmless)


@EVERY_ATTACK
def test_groovy_reads_the_script_as_a_literal(attack: str) -> None:
    text, harmless = of("jenkins", attack), of("jenkins", "harmless")
    assert groovy_strings_of(text)[:-1] == groovy_strings_of(harmless)[:-1]
    begin, end = "sh '''", "'''\n        }\n"
    assert text.partition(begin)[0] == harmless.partition(begin)[0]
    assert text.rpartition(end)[2] == harmless.rpartition(end)[2]


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shape(member) for key, member in value.items()}
    return [_shape(member) for member in value] if isinstance(value, list) else type(value)


def _nodes(node: yaml.Node) -> list[tuple[str, str]]:
    if isinstance(node, yaml.ScalarNode):
        return [(node.value, node.tag)]
    members = [part for pair in node.value for part in (pair if isinstance(pair, tuple) else (pair,))]
    return [found for member in members for found in _nodes(member)]
