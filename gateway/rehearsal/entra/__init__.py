"""Plays Microsoft Entra's provisioning service, without and with the flag `aadOptscim062020` in its Tenant URL."""

from gateway.rehearsal.entra.dialect import EntraApp
from gateway.rehearsal.entra.messages import MANNER, MANNER_WITH_FLAG, Spelling
from gateway.rehearsal.entra.steps import steps
from gateway.rehearsal.scripts import Script

__all__ = ["ENTRA", "ENTRA_FLAGGED"]

_PLAIN, _FLAGGED = Spelling(has_flag=False), Spelling(has_flag=True)

ENTRA = Script(EntraApp(_PLAIN), steps(_PLAIN), MANNER)
ENTRA_FLAGGED = Script(EntraApp(_FLAGGED), steps(_FLAGGED), MANNER_WITH_FLAG)
