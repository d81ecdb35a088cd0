"""The page of each identity provider says what its preset does, and what it tells people to enter is accepted."""

import re
import shutil
import subprocess

import pytest

from changegate.schemas.claim_condition import ClaimConditionSchema
from changegate.schemas.presets import PRESETS, IssuerForm, Preset, require_pins
from tests.guards.documents import DOCS, FENCE, blocks, links

INDEX = DOCS / "identity-providers.md"
FOLDER = DOCS / "identity-providers"
OTHER_PAGES = {"tested-providers"}
# What makes the exchange, whatever indents it and whether dollars are doubled.
EXCHANGE = re.compile(r"^token=\$\(curl .*?access_token\)$", re.MULTILINE | re.DOTALL)
START = re.compile(r"^(?P<indent> *)token=", re.MULTILINE)
EVERY_PRESET = pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))


def page(preset: Preset) -> str:
    return (FOLDER / f"{preset.name}.md").read_text()


def flat(text: str) -> str:
    return " ".join(text.split())


def jwks_url(form: IssuerForm) -> str:
    return form.jwks_url.replace("{issuer}", form.issuer.removesuffix("/"))


def snippets(preset: Preset) -> list[str]:
    """Return the pieces that exchange a token, as a shell gets them."""
    codes = [match["code"].replace("$$", "$") for match in FENCE.finditer(page(preset))]
    found = [(START.search(code), code) for code in codes]
    return [re.sub(f"^{start['indent']}", "", code, flags=re.MULTILINE) for start, code in found if start]


def test_there_is_a_page_for_each_preset_and_the_index_links_it() -> None:
    assert {path.stem for path in FOLDER.glob("*.md")} == PRESETS.keys() | OTHER_PAGES
    assert {f"identity-providers/{name}.md" for name in PRESETS.keys() | OTHER_PAGES} <= set(links(INDEX))
    rows = re.findall(
        r"^\| \[.*?\]\(identity-providers/([\w-]+)\.md\) \| `([\w-]+)` \|", INDEX.read_text(), re.MULTILINE
    )
    assert [name for name, _ in rows] == [option for _, option in rows] == list(PRESETS)


def test_the_index_marks_the_shared_issuers() -> None:
    marked = re.findall(r"^\| \[.*?\| `([\w-]+)` \| \*\*everybody", INDEX.read_text(), re.MULTILINE)
    assert marked == [name for name, preset in PRESETS.items() if preset.pins]


@EVERY_PRESET
def test_a_page_has_the_values_that_the_preset_fills_in(preset: Preset) -> None:
    text = page(preset)
    for form in preset.issuers:
        assert f"| {form.label} | `{form.issuer}` | `{jwks_url(form)}` |" in text
    assert f"| Allowed algorithms | {', '.join(preset.algorithms)} |" in text
    assert f"| Replay policy | `{preset.replay_policy}` |" in text
    assert f"| Maximum assertion lifetime (seconds) | {preset.max_assertion_lifetime_seconds} |" in text
    assert ("| JTI claim |" in text) == (preset.jti_claim != "jti")
    assert ("| Audience claim |" in text) == (preset.audience_claim != "aud")


@EVERY_PRESET
def test_a_page_gives_the_advice_that_the_form_gives(preset: Preset) -> None:
    text = flat(page(preset))
    kinds = {claim.name: claim for claim in preset.claims}
    for sentence in (preset.audience_advice, preset.subject_advice, *preset.traps):
        assert flat(sentence) in text
    for name in preset.bind:
        assert f"| `{name}` | {kinds[name].kind} | {kinds[name].says} |" in text
    assert all(f"`{pin.claim}`" in text for pin in preset.pins)


@EVERY_PRESET
def test_the_conditions_of_a_page_are_accepted_and_enough_for_its_issuer(preset: Preset) -> None:
    [text, *_] = blocks(FOLDER / f"{preset.name}.md", "text")
    conditions = ClaimConditionSchema(many=True).load(text.splitlines())
    described = {claim.name for claim in preset.claims}
    assert {condition["claim"] for condition in conditions} <= described
    issuer = preset.issuers[0].issuer
    assert not require_pins(issuer if "{" not in issuer else "https://x.example", None, conditions, ["x"])


@EVERY_PRESET
def test_every_pipeline_exchanges_its_token_in_the_same_way(preset: Preset) -> None:
    [usual] = snippets(PRESETS["okta"])
    expected = EXCHANGE.search(usual)
    [found] = snippets(preset)
    actual = EXCHANGE.search(found)
    assert expected is not None
    assert actual is not None
    assert actual[0] == expected[0]
    assert 'curl -sS --fail-with-body "$DESK/api/now/table/change_request" -H "Authorization: Bearer $token"' in found


def test_every_shell_snippet_can_be_parsed() -> None:
    bash = shutil.which("bash")
    assert bash
    scripts = [code for path in FOLDER.glob("*.md") for code in blocks(path, "shell")]
    assert len(scripts) >= 10
    for script in scripts:
        subprocess.run([bash, "-n"], input=script, text=True, check=True, timeout=10)
