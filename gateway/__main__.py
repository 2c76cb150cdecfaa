"""`python -m gateway` is `scim-gateway`."""

from gateway.cli import main

main(prog_name="scim-gateway")
