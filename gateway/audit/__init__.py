"""The audit log as a language: what a line says. Pure."""
