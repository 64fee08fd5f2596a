"""CustomResourceDefinitions: what is refused in them, how they live, and how their objects are served."""

from lws_sandbox.crd.definition import DefinitionStrategy
from lws_sandbox.crd.lifecycle import Definitions, install_definitions
from lws_sandbox.crd.strategy import CustomStrategy

__all__ = ["CustomStrategy", "DefinitionStrategy", "Definitions", "install_definitions"]
