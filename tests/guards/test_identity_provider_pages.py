"""The page of each identity provider says what its preset does, and what it tells people to enter is accepted."""

import re
import shutil
import subprocess

import pytest

from changegate.schemas.claim_condition import ClaimConditionSchema
from changegate.schemas.presets import PRESETS, IssuerForm, Preset, fill, require_pins
from changegate.schemas.presets.placeholders import PLACEHOLDERS
from changegate.services.integrations.snippet_layouts import SNIPPET_LAYOUTS
from changegate.services.integrations.snippets import Snippet, SnippetContext, list_snippets
from tests.guards.documents import DOCS, blocks, links

INDEX = DOCS / "identity-providers.md"
FOLDER = DOCS / "identity-providers"
ADDRESS = "https://change.example.com"
LANGUAGES = {"yml": "yaml", "sh": "shell", "groovy": "groovy"}
OTHER_PAGES = {"tested-providers"}
EVERY_PRESET = pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))


def page(preset: Preset) -> str:
    return (FOLDER / f"{preset.name}.md").read_text()


def flat(text: str) -> str:
    return " ".join(text.split())


def jwks_url(form: IssuerForm) -> str:
    return form.jwks_url.replace("{issuer}", form.issuer.removesuffix("/"))


def pipeline_of(preset: Preset) -> Snippet:
    """Return what the console shows for the conditions of a page and the examples of the form."""
    [text, *_] = blocks(FOLDER / f"{preset.name}.md", "text")
    target = SnippetContext(
        client_id="0123456789abcdef0123456789abcdef",
        is_public=True,
        audience=ADDRESS,
        issuer=fill(preset, {name: place.example for name, place in PLACEHOLDERS.items()}).issuer,
        base_url=ADDRESS,
        preset=preset.name,
        claim_conditions=ClaimConditionSchema(many=True).load(text.splitlines()),
    )
    return list_snippets(target)[0]


def language_of(snippet: Snippet) -> str:
    return LANGUAGES[SNIPPET_LAYOUTS[snippet.name].template.split(".")[1]]


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
def test_the_pipeline_of_a_page_is_the_one_of_the_console(preset: Preset) -> None:
    snippet = pipeline_of(preset)
    assert snippet.text in blocks(FOLDER / f"{preset.name}.md", language_of(snippet))
    assert snippet.setup in flat(page(preset).replace("`", ""))


def test_every_shell_snippet_can_be_parsed() -> None:
    bash = shutil.which("bash")
    assert bash
    scripts = [code for path in FOLDER.glob("*.md") for code in blocks(path, "shell")]
    assert len(scripts) >= 10
    for script in scripts:
        subprocess.run([bash, "-n"], input=script, text=True, check=True, timeout=60)
