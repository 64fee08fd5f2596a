"""The command `lws-sandbox`."""
