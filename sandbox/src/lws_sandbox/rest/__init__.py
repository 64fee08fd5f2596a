"""How the server reads, writes, watches and deletes objects, whatever their kind."""
