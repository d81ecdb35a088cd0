"""What other servers that exchange foreign tokens had to mend: Keycloak, Ory Hydra, UAA, mcp-oauth."""

import ssl
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import trustme
from marshmallow import ValidationError

from changegate.errors import JwksFetchFailed
from changegate.extensions import db
from changegate.models import OAuthEntityScope, SysUser
from changegate.schemas.integration import SCHEMAS
from changegate.services.integrations.integrations import get_integration, rotate_secret
from changegate.services.keys.address_policy import FetchPolicy
from changegate.services.keys.jwks_fetch import fetch_jwks
from tests.conftest import Clock
from tests.support.attack_forms import SPELLINGS
from tests.support.forge import as_bytes, b64, header, jwk, key_set_document, rsa_key, sign
from tests.support.misbehaving_jwks import MisbehavingJwks, misbehaving_jwks, reply
from tests.support.token_desk import ISSUER, ROBOT, Integration, TokenDesk

OTHER_NETWORK = ip_network("10.0.0.0/8")


@pytest.mark.regression("replay: token outlives trust", "CVE-2026-1486")
def test_a_disabled_integration_exchanges_nothing_and_its_tokens_end_for_good(
    desk: TokenDesk, integration: Integration
) -> None:
    token = desk.token(integration)
    desk.set_active(integration, is_active=False)
    assert desk.call(token).status_code == 401
    assert desk.exchange(integration).status_code == 401
    assert desk.last_event().reason == "client_inactive"

    desk.set_active(integration, is_active=True)
    assert desk.call(token).status_code == 401
    assert desk.call(desk.token(integration)).status_code == 201


@pytest.mark.regression("replay: token outlives trust", "CVE-2026-1609")
@pytest.mark.parametrize("values", [{"active": False}, {"locked_out": True}])
@pytest.mark.parametrize("rule", [{"run_as": ROBOT}, {"run_as": ..., "user_field": "email"}], ids=["run as", "by sub"])
def test_a_user_who_may_not_act_is_served_no_longer(
    desk: TokenDesk, values: dict[str, bool], rule: dict[str, Any]
) -> None:
    integration = desk.register(**rule)
    set_user(desk, email="build-42")
    token = desk.token(integration)

    set_user(desk, **values)

    assert desk.call(token).status_code == 401
    assert desk.exchange(integration).status_code == 400
    assert desk.last_event().reason in {"user_inactive", "user_locked"}


def set_user(desk: TokenDesk, **values: Any) -> None:
    with desk.app.app_context():
        assert db.session.query(SysUser).filter_by(user_name=ROBOT).update(values) == 1
        db.session.commit()


@pytest.mark.regression("CVE-2026-11800")
def test_a_published_default_secret_is_refused(desk: TokenDesk, integration: Integration) -> None:
    payload = desk.assertion().split(".")[1]
    for alg in ("HS256", "HS384", "HS512"):
        for spell in SPELLINGS.values():
            signing_input = f"{b64(as_bytes(header(alg=alg)))}.{payload}"
            signature = sign(alg, spell(), signing_input.encode())
            assert desk.exchange(integration, assertion=f"{signing_input}.{b64(signature)}").status_code == 400
            assert desk.last_event().reason == "alg_not_allowed"


@pytest.mark.regression("CVE-2026-79652")
def test_a_token_may_do_no_more_than_an_administrator_agreed_to(desk: TokenDesk, integration: Integration) -> None:
    assert desk.exchange(integration).get_json()["scope"] == "change_request.create"
    for scope in ("change_request.read", "change_request.create change_request.read"):
        assert desk.exchange(integration, scope=scope).get_json()["error"] == "invalid_scope"

    with desk.app.app_context():
        db.session.query(OAuthEntityScope).filter_by(entity=integration.sys_id).delete()
        db.session.commit()
    assert desk.exchange(integration, scope="change_request.create").get_json()["error"] == "invalid_scope"


@pytest.fixture
def internal(tmp_path: Path) -> Iterator[tuple[MisbehavingJwks, str]]:
    """Serve a key set by https at an address that is not public, with the file of its authority."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("idp.internal").configure_cert(context)
    with misbehaving_jwks(reply(key_set_document(jwk(rsa_key()))), context) as server:
        yield server, str(tmp_path / "ca.pem")


INTERNAL_ADDRESSES = pytest.mark.regression("uaa#4000", "mcp-oauth#176", "CVE-2026-1180")


@INTERNAL_ADDRESSES
def test_an_internal_provider_is_reached_only_where_the_site_admits_its_network(
    internal: tuple[MisbehavingJwks, str],
) -> None:
    server, ca_file = internal
    url, network = server.url("idp.internal"), ip_network("127.0.0.0/8")
    for closed in (FetchPolicy(ca_file=ca_file), FetchPolicy(ca_file=ca_file, allowed_networks=(OTHER_NETWORK,))):
        with pytest.raises(JwksFetchFailed, match="is not connected to"):
            fetch_jwks(url, closed, resolve=lambda *_: ["127.0.0.1"])
    assert server.connections == 0

    opened = FetchPolicy(ca_file=ca_file, allowed_networks=(network,))
    assert fetch_jwks(url, opened, resolve=lambda *_: ["127.0.0.1"]).status == 200


@INTERNAL_ADDRESSES
@pytest.mark.parametrize(
    "address",
    [
        *("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16"),
        # As a translator, a tunnel or an old way of writing would have them: 169.254.169.254 each time.
        *("::ffff:a9fe:a9fe", "::a9fe:a9fe", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "64:ff9b:1:a9fe:a9:fe00::"),
        *("2002:a9fe:a9fe::1", "2001:0:a9fe:a9fe::1", "2001::5601:5601", "fe80::5efe:a9fe:a9fe"),
    ],
)
def test_no_network_that_a_site_admits_holds_the_clouds_own_addresses(address: str) -> None:
    everything = FetchPolicy(allow_loopback=True, allowed_networks=(ip_network("0.0.0.0/0"), ip_network("::/0")))
    with pytest.raises(JwksFetchFailed, match="metadata"):
        fetch_jwks("https://idp.internal/keys", everything, resolve=lambda *_: [address])


@INTERNAL_ADDRESSES
@pytest.mark.parametrize("name", ["allowed_networks", "jwks_allowed_networks", "allow_loopback"])
def test_no_integration_can_extend_the_allowed_networks(name: str) -> None:
    fields = {"name": "x", "provider_name": "x", "issuer": ISSUER, "run_as": ROBOT, "jwks_url": "https://idp.internal/"}
    assert SCHEMAS["jwt_bearer"].load(fields)
    with pytest.raises(ValidationError, match="Unknown field"):
        SCHEMAS["jwt_bearer"].load(fields | {name: ["10.0.0.0/8"]})


@pytest.mark.regression("hydra#3610")
def test_a_secret_whose_time_is_over_exchanges_nothing(desk: TokenDesk, integration: Integration, clock: Clock) -> None:
    with desk.app.app_context():
        rotate_secret(get_integration(integration.client_id), by="admin", overlap=timedelta(hours=1))
        db.session.commit()
    assert desk.exchange(integration).status_code == 200

    clock.advance(hours=1, seconds=1)

    assert desk.exchange(integration).status_code == 401
    assert desk.last_event().reason == "client_secret_bad"
