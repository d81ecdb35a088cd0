"""Rotation: which keys sign, which are published, which are gone."""

import pytest

from demo_idp.key_ring import MAX_OVERLAPPING, KeyRing
from demo_idp.signing_key import ALGORITHMS


def kids(ring: KeyRing) -> list[str]:
    return [key.kid for key in ring.published]


def test_starts_with_one_key_for_each_algorithm() -> None:
    ring = KeyRing()
    assert [key.algorithm for key in ring.published] == list(ALGORITHMS)
    assert len(set(kids(ring))) == 2


def test_an_overlapping_rotation_keeps_the_old_keys_published() -> None:
    ring = KeyRing()
    before = kids(ring)
    ring.rotate(overlap=True)
    assert kids(ring)[2:] == before
    assert ring.get_current("RS256").kid not in before


def test_a_rotation_without_overlap_withdraws_the_old_keys_at_once() -> None:
    ring = KeyRing()
    before = {key.algorithm: key.kid for key in ring.published}
    ring.rotate(overlap=False)
    assert not set(before.values()) & set(kids(ring))
    assert {algorithm: ring.get_retired(algorithm).kid for algorithm in ALGORITHMS} == before


def test_retiring_drops_what_overlaps_and_keeps_the_newest_of_it() -> None:
    ring = KeyRing()
    ring.rotate(overlap=True)
    second = ring.get_current("ES256")
    ring.rotate(overlap=True)
    assert len(ring.retire()) == 4
    assert len(ring.published) == 2
    assert ring.get_retired("ES256") == second


def test_has_no_retired_key_before_a_rotation() -> None:
    ring = KeyRing()
    assert not ring.has_retired()
    assert ring.retire() == ()
    assert not ring.has_retired()
    with pytest.raises(KeyError):
        ring.get_retired("RS256")


def test_finds_a_published_key_only_for_its_own_algorithm() -> None:
    ring = KeyRing()
    key = ring.get_current("ES256")
    assert ring.find_published(key.kid, "ES256") is key
    assert ring.find_published(key.kid, "RS256") is None
    assert ring.find_published(None, "ES256") is None


def test_rotating_without_end_does_not_publish_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("demo_idp.key_ring.ALGORITHMS", ("ES256",))
    ring = KeyRing()
    first = ring.get_current("ES256")
    for _ in range(MAX_OVERLAPPING + 1):
        ring.rotate(overlap=True)
    assert len(ring.published) == 1 + MAX_OVERLAPPING
    assert ring.get_retired("ES256") == first
