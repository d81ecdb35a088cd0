import ipaddress
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.util import parse_url

from changegate.errors import JwksFetchFailed
from changegate.services.keys.address_policy import FetchPolicy
from changegate.services.keys.url_policy import UrlRefused, admit_url

STRICT = FetchPolicy()
LOOPBACK = FetchPolicy(allow_loopback=True)
INTERNAL = FetchPolicy(allowed_networks=(ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fd00::/8")))

REFUSED = {
    "empty": "",
    "file": "file:///etc/passwd",
    "ftp": "ftp://idp.example/keys",
    "data": "data:application/json,{}",
    "gopher": "gopher://idp.example:70/",
    "http": "http://idp.example/keys",
    "http in mixed case": "HtTp://idp.example/keys",
    "no scheme": "idp.example/keys",
    "relative": "//idp.example/keys",
    "no host": "https:///keys",
    "only a port": "https://:8443/keys",
    "user name": "https://user@idp.example/keys",
    "password": "https://user:secret@idp.example/keys",
    "empty user": "https://@idp.example/keys",
    "fragment": "https://idp.example/keys#k1",
    "empty fragment": "https://idp.example/keys#",
    "backslash": "https://evil.example\\@idp.example/",
    "tab": "https://idp.exa\tmple/keys",
    "line break": "https://idp.example/keys\n",
    "leading blank": " https://idp.example/keys",
    "blank": "https://idp.example/the keys",
    "NUL": "https://idp.example/\0",
    "non-ASCII host": "https://idp.exämple/keys",
    "fullwidth digits": "https://\uff11\uff12\uff17.0.0.1/keys",
    "ideographic full stop": "https://127\u30020.0.1/keys",
    "too long": "https://idp.example/" + "k" * 2048,
    "trailing dot": "https://idp.example./keys",
    "two dots": "https://idp..example/keys",
    "leading dot": "https://.example/keys",
    "escaped host": "https://%31%32%37.0.0.1/keys",
    "hyphen first": "https://-idp.example/keys",
    "label too long": f"https://{'a' * 64}.example/keys",
    "host too long": f"https://{'a.' * 127}example/keys",
    "address": "https://8.8.8.8/keys",
    "IPv6 address": "https://[2606:4700::1111]/keys",
    "loopback": "https://127.0.0.1/keys",
    "metadata": "https://169.254.169.254/latest",
    "decimal address": "https://2130706433/keys",
    "hexadecimal address": "https://0x7f.1/keys",
    "octal address": "https://0177.0.0.1/keys",
    "short address": "https://127.1/keys",
    "zero": "https://0/keys",
    "number at the end": "https://idp.123/keys",
    "empty hexadecimal": "https://127.0.0.0x/keys",
    "zone": "https://[fe80::1%25eth0]/keys",
    "brackets around nothing": "https://[]/keys",
    "brackets around a name": "https://[idp.example]/keys",
    "port 0": "https://idp.example:0/keys",
    "port 22": "https://idp.example:22/keys",
    "port 80": "https://idp.example:80/keys",
    "port of a database": "https://idp.example:5432/keys",
    "port of a cache": "https://idp.example:6379/keys",
    "port too large": "https://idp.example:65536/keys",
    "port in letters": "https://idp.example:https/keys",
}


@pytest.mark.parametrize("policy", [STRICT, INTERNAL], ids=["strict", "internal"])
@pytest.mark.parametrize("url", REFUSED.values(), ids=REFUSED.keys())
def test_refuses(url, policy):
    with pytest.raises(UrlRefused):
        admit_url(url, policy)


@pytest.mark.parametrize(
    "url", [url for name, url in REFUSED.items() if name not in ("http", "http in mixed case", "loopback")]
)
def test_the_loopback_setting_admits_none_of_them(url):
    with pytest.raises(UrlRefused):
        admit_url(url, LOOPBACK)


@pytest.mark.parametrize(
    ("url", "rebuilt", "host_header"),
    [
        ("https://idp.example", "https://idp.example/", "idp.example"),
        ("https://idp.example:443/keys", "https://idp.example/keys", "idp.example"),
        ("HTTPS://IDP.Example/Keys", "https://idp.example/Keys", "idp.example"),
        ("https://idp.example:8443/a/../b?c=d&e", "https://idp.example:8443/b?c=d&e", "idp.example:8443"),
        ("https://kube.example:6443/openid/v1/jwks", "https://kube.example:6443/openid/v1/jwks", None),
        ("https://xn--exmple-cua.example/k", "https://xn--exmple-cua.example/k", None),
        ("https://a_b.example/k", "https://a_b.example/k", None),
    ],
)
def test_admits_a_url_and_normalizes_it(url, rebuilt, host_header):
    admitted = admit_url(url, STRICT)
    assert str(admitted) == rebuilt
    assert host_header in (None, admitted.host_header)


@pytest.mark.parametrize(
    ("url", "host_header"),
    [
        ("http://127.0.0.1:8081/keys", "127.0.0.1:8081"),
        ("http://localhost/keys", "localhost"),
        ("http://[::1]:8081/keys", "[::1]:8081"),
        ("https://127.0.0.1/keys", "127.0.0.1"),
        ("http://[::ffff:127.0.0.1]/keys", "127.0.0.1"),
    ],
)
def test_the_loopback_setting_admits_http_to_this_machine(url, host_header):
    assert admit_url(url, LOOPBACK).host_header == host_header


@pytest.mark.parametrize("url", ["http://8.8.8.8/", "http://10.1.0.1/", "https://10.1.0.1/"])
def test_the_loopback_setting_admits_no_other_address(url):
    with pytest.raises(UrlRefused):
        admit_url(url, LOOPBACK)


def test_a_named_network_admits_its_addresses_by_https():
    assert admit_url("https://10.1.2.3:8443/keys", INTERNAL).address == ipaddress.ip_address("10.1.2.3")
    assert admit_url("https://[fd12::1]/keys", INTERNAL).host == "fd12::1"
    for url in ("http://10.1.2.3/keys", "https://10.2.0.1/keys", "https://[fd00:ec2::254]/"):
        with pytest.raises(UrlRefused):
            admit_url(url, INTERNAL)


def test_a_refusal_never_repeats_a_password():
    with pytest.raises(JwksFetchFailed) as refusal:
        admit_url("https://user:secret@idp.example/", STRICT)
    assert "secret" not in refusal.value.message


@given(st.text(alphabet=string.printable + "ä\u2028\uff0f@:/\\#?[]%.0x", max_size=40))
def test_a_normalized_url_is_admitted_unchanged(rest):
    try:
        admitted = admit_url("https://" + rest, STRICT)
    except UrlRefused:
        return
    again = parse_url(str(admitted))
    assert (again.scheme, again.host, again.auth, again.fragment) == ("https", admitted.host, None, None)
    assert admit_url(str(admitted), STRICT) == admitted
