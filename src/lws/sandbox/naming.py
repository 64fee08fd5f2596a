"""Rules for names, shared with the API floor (`lws.api.naming`)."""

from lws.api.naming import (
    dns_1035_label,
    dns_label,
    dns_subdomain,
    label_value,
    path_segment,
    qualified_name,
)

__all__ = ["dns_1035_label", "dns_label", "dns_subdomain", "label_value", "path_segment", "qualified_name"]
