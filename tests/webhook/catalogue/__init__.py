"""Bad reviews, each with the answer that is due.

An entry is a path, a body and its content type; expected are the HTTP status, the code in the response (None where the
uid could not be read, so that there is no response), and words of the message.
"""

from tests.webhook.catalogue.case import Case
from tests.webhook.catalogue.envelopes import envelopes, no_json, no_uid, transport
from tests.webhook.catalogue.pods import malformed_pods, objects, refused_pods
from tests.webhook.catalogue.sets import refused_sets

CATALOGUE: list[Case] = [
    *no_json(),
    *no_uid(),
    *envelopes(),
    *objects(),
    *malformed_pods(),
    *refused_pods(),
    *refused_sets(),
    *transport(),
]
