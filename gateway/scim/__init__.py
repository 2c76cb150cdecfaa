"""SCIM as a language: addresses, filters, paths, messages, operations, links. Pure."""
