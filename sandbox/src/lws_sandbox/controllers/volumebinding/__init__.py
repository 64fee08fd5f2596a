"""Claims and volumes: protection while in use, provisioning by the sandbox's class, binding of volumes made by hand."""
