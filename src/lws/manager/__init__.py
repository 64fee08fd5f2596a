"""The composition root: an operator is built, configured and run from here."""
