"""What becomes of a Secret's content, whatever state it is in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lws.webhook import certs
from lws.webhook.certs import Pair, make_ca, make_leaf, read_certificates
from lws.webhook.keychain import OVERLAP, Keychain, distrust, renewed

pytestmark = pytest.mark.usefixtures("keys")
NOW = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = ("lws-webhook-service.lws-system.svc",)
EMPTY = Keychain.from_data({})


@pytest.fixture
def good(keys: None) -> Keychain:
    """A keychain made at NOW."""
    return renewed(EMPTY, NAMES, NOW)[0]


def trusted(keychain: Keychain, bundle: bytes, now: datetime = NOW) -> bool:
    """Whether a client with this bundle trusts the keychain's leaf."""
    return not distrust(bundle, keychain.leaf.certificate, NAMES, now)


def test_an_empty_secret_is_filled(good: Keychain) -> None:
    """From nothing comes a keychain that is consistent and stays as it is."""
    assert trusted(good, good.ca.certificate)
    assert renewed(good, NAMES, NOW) == (good, "")
    assert Keychain.from_data(good.to_data()) == good


def test_leaf_renewal(good: Keychain) -> None:
    """A leaf is renewed 90 days before its end, by the same authority."""
    assert renewed(good, NAMES, NOW + timedelta(days=274)) == (good, "")
    now = NOW + timedelta(days=276)
    newer, why = renewed(good, NAMES, now)
    assert why == "the serving certificate expires"
    assert newer.ca == good.ca
    assert newer.leaf != good.leaf
    assert trusted(newer, good.ca.certificate, now)


def test_authority_renewal(good: Keychain) -> None:
    """A new authority comes with the old one in the bundle, which goes after a day."""
    now = NOW + timedelta(days=3650 - 89)
    old = replace(good, leaf=make_leaf(good.ca, NAMES, now - timedelta(days=1)))
    newer, why = renewed(old, NAMES, now)
    assert why == "the authority expires"
    assert trusted(newer, newer.ca.certificate, now)
    assert trusted(old, newer.ca.certificate, now)
    assert not trusted(newer, old.ca.certificate, now)
    later = now + OVERLAP - timedelta(minutes=1)
    assert renewed(newer, NAMES, later) == (newer, "")
    last, why = renewed(newer, NAMES, now + OVERLAP)
    assert why == "former authorities have had their time"
    assert (last.leaf, last.ca.key) == (newer.leaf, newer.ca.key)
    assert last.ca.certificate == newer.ca.certificate[: len(last.ca.certificate)]
    assert len(read_certificates(last.ca.certificate)) == 1


def broken(good: Keychain, member: str) -> Keychain:
    """A copy in which one member of the Secret is broken."""
    other = renewed(EMPTY, NAMES, NOW)[0].to_data()
    data = good.to_data()
    name, _, how = member.partition(" ")
    values = {"empty": b"", "garbage": b"garbage", "cut": data[name][:300], "swapped": other[name]}
    return Keychain.from_data({**data, name: values[how]})


@pytest.mark.parametrize("how", ["empty", "garbage", "cut", "swapped"])
@pytest.mark.parametrize("name", ["tls.crt", "tls.key"])
def test_a_broken_leaf_is_replaced(good: Keychain, name: str, how: str) -> None:
    """A leaf that is broken or does not fit is made anew by the same authority."""
    healed, why = renewed(broken(good, f"{name} {how}"), NAMES, NOW)
    assert why
    assert healed.ca == good.ca
    assert trusted(healed, good.ca.certificate)
    assert renewed(healed, NAMES, NOW)[1] == ""


@pytest.mark.parametrize("how", ["empty", "garbage", "cut", "swapped"])
@pytest.mark.parametrize("name", ["ca.crt", "ca.key"])
def test_a_broken_authority_is_replaced(good: Keychain, name: str, how: str) -> None:
    """An authority that is broken is made anew; leaves of known ones stay trusted meanwhile."""
    healed, why = renewed(broken(good, f"{name} {how}"), NAMES, NOW, known=good.ca.certificate)
    assert why
    assert healed.ca.key != good.ca.key
    assert trusted(healed, healed.ca.certificate)
    assert trusted(good, healed.ca.certificate)
    assert renewed(healed, NAMES, NOW)[1] == ""


def test_an_expired_authority_is_not_kept(good: Keychain) -> None:
    """Only authorities that are still valid go on in a new bundle."""
    now = NOW + timedelta(days=4000)
    newer, _ = renewed(good, NAMES, now, known=good.ca.certificate)
    assert len(read_certificates(newer.ca.certificate)) == 1


def test_known_authorities_are_kept_once(good: Keychain) -> None:
    """What is known twice is kept once, newest first; a serving certificate is no authority."""
    newer = make_ca(NOW + timedelta(minutes=1))
    known = good.ca.certificate * 3 + good.leaf.certificate + newer.certificate
    healed, _ = renewed(EMPTY, NAMES, NOW + timedelta(minutes=2), known)
    kept = read_certificates(healed.ca.certificate)
    assert kept[1:] == [read_certificates(pem)[0] for pem in (newer.certificate, good.ca.certificate)]


def test_another_service(good: Keychain) -> None:
    """A leaf for other names is replaced."""
    healed, why = renewed(good, ("other.ns.svc",), NOW)
    assert why == "the certificate does not serve other.ns.svc"
    assert not distrust(good.ca.certificate, healed.leaf.certificate, ["other.ns.svc"], NOW)


def test_a_leaf_is_no_authority(good: Keychain) -> None:
    """A Secret whose authority may not sign is made anew."""
    confused = Keychain(good.leaf, good.leaf)
    assert renewed(confused, NAMES, NOW)[1] == "the certificate in ca.crt is no authority"


def test_distrust(good: Keychain) -> None:
    """Why a client would refuse: time, authority, name, garbage."""
    bundle, certificate = good.ca.certificate, good.leaf.certificate
    assert distrust(bundle, certificate, NAMES, NOW) == ""
    expired = "certificate has expired or is not yet valid"
    assert distrust(bundle, certificate, NAMES, NOW + timedelta(days=366)) == expired
    assert distrust(bundle, certificate, NAMES, NOW - timedelta(hours=2)) == expired
    unknown = "certificate signed by unknown authority"
    assert distrust(make_ca(NOW).certificate, certificate, NAMES, NOW) == unknown
    assert distrust(bundle, certificate, ["other"], NOW) == unknown
    assert distrust(b"", certificate, NAMES, NOW) == unknown
    assert distrust(bundle, b"", NAMES, NOW) == "the certificate cannot be read"


def test_a_certificate_of_somebody_else_is_kept_while_it_is_valid(keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A valid certificate without its authority's key, as cert-manager leaves it, is replaced only near its end."""
    monkeypatch.setattr(certs, "CA_NAME", "acme")
    ca = make_ca(NOW)
    monkeypatch.undo()
    foreign = Keychain(Pair(ca.certificate, b""), make_leaf(ca, NAMES, NOW))
    assert renewed(foreign, NAMES, NOW + timedelta(days=320)) == (foreign, "")
    ours, why = renewed(foreign, NAMES, NOW + timedelta(days=340))
    assert why
    assert trusted(ours, ours.ca.certificate, NOW + timedelta(days=340))
    assert trusted(foreign, ours.ca.certificate, NOW + timedelta(hours=1)), "who serves the former one stays trusted"
    assert renewed(foreign, ["another.svc"], NOW)[1]


def test_the_references_own_secret_is_kept() -> None:
    """An authority with more than one name, as others make them, goes on without a change."""
    ca = make_ca(NOW)
    foreign = Keychain(Pair(b"# made by another tool\n" + ca.certificate, ca.key), make_leaf(ca, NAMES, NOW))
    assert renewed(foreign, NAMES, NOW) == (foreign, "")
