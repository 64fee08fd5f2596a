"""Rules for names, shared with the API floor (`lws.apimachinery.nameformats`)."""

from lws.apimachinery.nameformats import (
    dns_1035_label,
    dns_label,
    dns_subdomain,
    label_value,
    path_segment,
    qualified_name,
)

__all__ = ["dns_1035_label", "dns_label", "dns_subdomain", "label_value", "path_segment", "qualified_name"]
