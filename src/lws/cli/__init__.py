"""Commands: ``lws-controller``, ``lws-sandbox``, ``kubectl-lws``, and what ``make run`` runs."""
