"""Admission over HTTPS: review codec, handlers, server, certificates. Serves only; the rules are in `lws.api`."""

from lws.webhook.certificate import ServingCertificate
from lws.webhook.handlers import AdmissionHandlers
from lws.webhook.server import Limits, Observer, WebhookServer

__all__ = ["AdmissionHandlers", "Limits", "Observer", "ServingCertificate", "WebhookServer"]
