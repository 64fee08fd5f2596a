"""What a command line puts over a kubeconfig: kubectl's global flags."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from lws.apimachinery.manifests import JSON


@dataclass(frozen=True, slots=True)
class Overrides:
    """Values of kubectl's global flags; what is empty is left to the kubeconfig."""

    kubeconfig: str = ""
    context: str = ""
    namespace: str = ""
    cluster: str = ""
    user: str = ""
    server: str = ""
    token: str = field(default="", repr=False)
    certificate_authority: str = ""
    client_certificate: str = ""
    client_key: str = ""
    tls_server_name: str = ""
    insecure_skip_tls_verify: bool | None = None
    impersonate: str = ""
    impersonate_uid: str = ""
    impersonate_groups: tuple[str, ...] = ()
    impersonate_extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    request_timeout: float = 0.0

    def over_cluster(self, cluster: JSON) -> JSON:
        """A kubeconfig's cluster entry as these flags have it."""
        changed = _without(cluster, "certificate-authority-data") if self.certificate_authority else dict(cluster)
        changed |= _given(
            {
                "server": self.server,
                "certificate-authority": _absolute(self.certificate_authority),
                "tls-server-name": self.tls_server_name,
            }
        )
        if self.insecure_skip_tls_verify is not None:
            changed["insecure-skip-tls-verify"] = self.insecure_skip_tls_verify
        return changed

    def over_user(self, user: JSON) -> JSON:
        """A kubeconfig's user entry as these flags have it: a token given beats every other way to log in."""
        changed = _without(user, "tokenFile", "exec", "auth-provider") if self.token else dict(user)
        if self.client_certificate:
            changed = _without(changed, "client-certificate-data")
        if self.client_key:
            changed = _without(changed, "client-key-data")
        if self.impersonate:
            changed = _without(changed, "as-uid", "as-groups", "as-user-extra")
        return changed | _given(
            {
                "token": self.token,
                "client-certificate": _absolute(self.client_certificate),
                "client-key": _absolute(self.client_key),
                "as": self.impersonate,
                "as-uid": self.impersonate_uid,
                "as-groups": list(self.impersonate_groups),
                "as-user-extra": {key: list(values) for key, values in self.impersonate_extra.items()},
            }
        )


def _given(members: JSON) -> JSON:
    return {name: value for name, value in members.items() if value}


def _without(entry: JSON, *names: str) -> JSON:
    return {name: value for name, value in entry.items() if name not in names}


def _absolute(path: str) -> str:
    """Paths of flags are relative to the working directory, those of a kubeconfig to its file."""
    return os.path.abspath(os.path.expanduser(path)) if path else ""
