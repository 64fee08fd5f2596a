"""The composition root: a controller process is built, configured and run from here."""
