"""Whether a caller may: the group system:masters may everything, all others what RBAC grants."""

from __future__ import annotations

from typing import Final

from lws_sandbox.auth.identities import MASTERS
from lws_sandbox.auth.rulebook import Rulebook
from lws_sandbox.auth.rules import allows
from lws_sandbox.rest.call import RequestInfo
from lws_sandbox.user import UserInfo

NO_REASON: Final = ""


class Authorizer:
    """Evaluates requests (k8s.io/kubernetes `plugin/pkg/auth/authorizer/rbac`)."""

    def __init__(self, rulebook: Rulebook) -> None:
        self._rulebook = rulebook

    def decide(self, user: UserInfo, info: RequestInfo) -> tuple[bool, str]:
        """Whether, and the reason in words, which may be empty."""
        if MASTERS in user.groups:
            return True, NO_REASON
        problems: list[str] = []
        for grant in self._rulebook.grants(user, info.namespace):
            if grant.problem:
                problems.append(grant.problem)
            elif any(allows(rule, info) for rule in grant.rules):
                return True, f"RBAC: allowed by {grant.source}"
        return False, f"RBAC: {aggregate(problems)}" if problems else NO_REASON


def aggregate(problems: list[str]) -> str:
    """Several errors as Go's aggregate prints them: each once, in brackets if there is more than one."""
    texts = list(dict.fromkeys(problems))
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
