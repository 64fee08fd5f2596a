"""Beside and after the reference operator, on a real control plane: A21, A48, A54.

Of cert-manager the definitions are there, and a stand-in does its work: `test_certmanager` has its own controllers.
"""

from __future__ import annotations

import pytest

from lws.api.operand import names
from tests.acceptance.operand.test_takeover import check, released, stand_by
from tests.real.operand.site import site
from tests.real.operand.test_answering import issuing, published

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]


async def test_definitions_outlive_the_object_from_the_first_write_on() -> None:
    """A21: the operator dies right after it and the object goes; sets and their pods stay, with the same UIDs."""
    async with site(answers=True, definitions=published("cert-manager.io")) as real, issuing(real):
        await released(real, rest=20)


@pytest.mark.parametrize("where", [names.OPERATOR_NAMESPACE, "elsewhere"])
async def test_the_references_operator_is_waited_for(where: str) -> None:
    """A48: while it renews its lease, in this namespace or another, nothing is written; then everything is."""
    async with site(answers=True) as real:
        await stand_by(real, where, duration=10, rest=45)


async def test_the_references_own_checks_pass() -> None:
    """A54: tests 1 to 6 of its e2e suite, replayed as API calls (operator 3.12)."""
    async with site(answers=True, definitions=published("cert-manager.io")) as real, issuing(real):
        await check(real, {"kubernetes.io/os": "linux"}, rest=20)
