"""`kubectl lws ui` and the documentation in a real Chromium, driven by Playwright: `make test-browser`."""
