"""What operators call: the sections [admin] and [metrics]; and what every section has in common. Pure."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from gateway.settings.values import HostPort, ListenAddress, SettingsPath


class Section(BaseModel):
    """Frozen, and refuses what it does not know."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", str_strip_whitespace=True, hide_input_in_errors=True, allow_inf_nan=False
    )


class AdminSection(Section):
    """[admin]: health, metrics; read-only, plain HTTP, for the host itself or a management network."""

    address: ListenAddress = Field("127.0.0.1:9443", description="host:port to listen on; port 0 takes any free one.")

    @property
    def endpoint(self) -> HostPort:
        """`address`, taken apart."""
        return HostPort.parse(self.address)


class MetricsSection(Section):
    """[metrics]: where /metrics is, if not at the admin listener."""

    address: ListenAddress | None = Field(
        None, description="host:port of a listener for /metrics alone; left out, the admin listener has them."
    )
    certificate_file: SettingsPath | None = Field(
        None, description="PEM: makes that listener https; swapped when the file changes."
    )
    key_file: SettingsPath | None = Field(None, description="PEM: its private key, without a passphrase.")

    @property
    def endpoint(self) -> HostPort | None:
        """`address`, taken apart."""
        return HostPort.parse(self.address) if self.address else None
