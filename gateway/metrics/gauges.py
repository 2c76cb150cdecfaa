"""The gauges: what is so now. Others set them, about once a second (`gateway.vitals`, `gateway.surroundings`)."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.metrics.families import Families

NODE_STATES = ("in-service", "out-of-service", "on-trial", "drained")


class Gauges:
    """Each attribute is one gauge."""

    def __init__(self, families: Families) -> None:
        self._upstream_certificates: frozenset[str] = frozenset()
        self._of_tenants(families)
        self._of_upstreams(families)
        self._of_the_guard(families)
        self._of_records(families)
        self._of_files(families)
        self._of_the_instance(families)

    def show_node(self, tenant: str, node: str, state: str, *, is_primary: bool) -> None:
        """What a node of an upstream is now."""
        for known in NODE_STATES:
            self.node_state.labels(tenant, node, known).set(known == state)
        self.node_primary.labels(tenant, node).set(is_primary)

    def forget_the_settings(self) -> None:
        """Show nothing that bears the name of a tenant, node, credential or feed, but for last uses."""
        for gauge in (
            self.credential_expiry, self.requests_in_flight, self.upstream_up, self.node_state, self.node_primary,
            self.guard_holds, self.guard_held_writes, self.guard_last_attempts, self.guard_directory_people,
            self.source_feed_networks, self.source_feed_refused, self.source_feed_written_at,
        ):  # fmt: skip
            gauge.clear()

    def show_upstream_certificates(self, ends_at: Mapping[str, float]) -> None:
        """When each client certificate towards an upstream ends (Unix seconds), by `tenants.NAME`; forgets others."""
        for name in self._upstream_certificates - ends_at.keys():
            self.certificate_expiry.remove(name)
        self._upstream_certificates = frozenset(ends_at)
        for name, at in ends_at.items():
            self.certificate_expiry.labels(name).set(at)

    def show_certificate(self, name: str, expires_at: float | None, *, refused: bool) -> None:
        """When a certificate in use ends (None: not known), and whether what its files hold now is not used."""
        if expires_at is not None:
            self.certificate_expiry.labels(name).set(expires_at)
        self.certificate_refused.labels(name).set(refused)

    def _of_tenants(self, families: Families) -> None:
        of_credentials = ("tenant", "credential")
        self.credential_expiry = families.gauge(
            "credential_expiry_timestamp_seconds", "When a client's credential ends; +Inf: never.", of_credentials
        )
        self.credential_last_used = families.gauge(
            "credential_last_used_timestamp_seconds", "When a client's credential was accepted last.", of_credentials
        )
        self.requests_in_flight = families.gauge("requests_in_flight", "Requests under way.", ("tenant",))
        self.turns_held = families.gauge("turns_held", "Resources that are being written to.")
        self.turns_waiting = families.gauge("turns_waiting", "Writes that wait for their turn on a resource.")

    def _of_upstreams(self, families: Families) -> None:
        self.upstream_up = families.gauge(
            "upstream_up", "Whether the upstream answers (1) or not (0), also at rest.", ("tenant",)
        )
        self.node_state = families.gauge(
            "upstream_node_state", "The state of an upstream's node (1).", ("tenant", "node", "state")
        )
        self.node_primary = families.gauge(
            "upstream_node_primary", "Whether a node gets the requests (1).", ("tenant", "node")
        )

    def _of_the_guard(self, families: Families) -> None:
        self.guard_holds = families.gauge("guard_holds", "Waves that wait for a person's decision.", ("tenant",))
        self.guard_held_writes = families.gauge("guard_held_writes", "Writes that wait for a decision.", ("tenant",))
        self.guard_last_attempts = families.gauge(
            "guard_held_writes_near_their_end", "Held writes whose client gives up soon.", ("tenant",)
        )
        self.guard_directory_people = families.gauge(
            "guard_directory_people", "People in the directory, as far as the guard knows.", ("tenant",)
        )
        self.guard_up = families.gauge(
            "guard_up", "Whether the guard can count (1); else whatever takes access waits (0)."
        )

    def _of_records(self, families: Families) -> None:
        self.audit_up = families.gauge(
            "audit_up", "Whether the audit log took the last event (1); else writes are put off (0)."
        )
        self.audit_waiting = families.gauge("audit_waiting_events", "Events that wait to be on disk.")
        self.audit_checkpoint_at = families.gauge(
            "audit_checkpoint_timestamp_seconds", "When the audit log was signed last."
        )
        self.audit_lines = families.gauge("audit_lines", "Lines of the audit log that the last checkpoint stands for.")
        self.sink_lag = families.gauge(
            "audit_sink_lag_lines", "Lines of the audit log that a sink has not sent yet.", ("sink",)
        )
        self.sink_oldest = families.gauge(
            "audit_oldest_unshipped_seconds", "Age of the oldest line that a sink has not sent yet.", ("sink",)
        )

    def _of_files(self, families: Families) -> None:
        self.certificate_expiry = families.gauge(
            "tls_certificate_expiry_timestamp_seconds", "When a certificate in use ends.", ("certificate",)
        )
        self.certificate_refused = families.gauge(
            "tls_certificate_refused",
            "Whether what a certificate's files hold now cannot be used (1).",
            ("certificate",),
        )
        self.source_feed_networks = families.gauge(
            "source_feed_networks", "Networks in a feed of source addresses.", ("feed",)
        )
        self.source_feed_refused = families.gauge(
            "source_feed_refused",
            "Whether a feed's file is refused (1) and the networks of before are kept.",
            ("feed",),
        )
        self.source_feed_written_at = families.gauge(
            "source_feed_written_timestamp_seconds", "When a feed's file was written last.", ("feed",)
        )
        self.disk_free = families.gauge(
            "disk_free_bytes", "Room left for the gateway on the disk of its directory audit or state.", ("directory",)
        )

    def _of_the_instance(self, families: Families) -> None:
        self.connections = families.gauge("connections", "Open connections of clients.")
        self.reload_succeeded = families.gauge(
            "config_last_reload_successful", "Whether the last reading of the settings was taken (1) or refused (0)."
        )
        self.reload_succeeded_at = families.gauge(
            "config_last_reload_success_timestamp_seconds", "When settings were taken last."
        )
        self.tasks = families.gauge("tasks", "Tasks of the event loop: one a connection, and a few.")
        self.draining = families.gauge("draining", "Whether the instance is being stopped (1).")
