"""Tools that write generated files."""
