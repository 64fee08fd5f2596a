"""Admission webhooks of the sandbox: who is asked, how, and what comes of the answer."""

from lws_sandbox.admission.calling import Caller, LocalCaller, Unreachable
from lws_sandbox.admission.https import HttpsCaller, ServiceError
from lws_sandbox.admission.services import ServiceResolver
from lws_sandbox.admission.webhooks import WebhookAdmission

__all__ = ["Caller", "HttpsCaller", "LocalCaller", "ServiceError", "ServiceResolver", "Unreachable", "WebhookAdmission"]
