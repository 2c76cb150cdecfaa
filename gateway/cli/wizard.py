"""What `init` asks, one function a question, each with a look at the answer."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import SecretStr

from gateway.cli.asking import Asker, Question
from gateway.cli.looks import (
    LISTEN_ADDRESS,
    PLAIN_PATH,
    PUBLIC_URL,
    Nodes,
    absolute,
    can_read,
    feed_in,
    read_nodes,
    secret_in,
    valid,
    why_not_entered,
    why_not_listened,
    why_not_reached,
    why_not_resolved,
)
from gateway.cli.placing import Owner
from gateway.doctor.findings import Grade
from gateway.doctor.inside import ask_node, is_about_the_secret
from gateway.doctor.visit import Limits, Visit
from gateway.settings import checking, pairs
from gateway.settings.feeds import cells_like
from gateway.settings.models import Client, Tenant
from gateway.settings.problems import Problem
from gateway.settings.rules import PLAIN_NAME, name_is_plain
from gateway.settings.tokens import fits_a_field, weakness
from gateway.settings.values import FeedCell, HostPort, host_and_port, parse_source

_PROBE_SECONDS = 10.0
FIRST_UNPRIVILEGED_PORT = 1024
_CREDENTIAL_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Wizard:
    """Asks one by one. `offline`: nobody is resolved or called; `owner` is whom the gateway will run as."""

    asker: Asker
    offline: bool
    owner: Owner | None = None
    now: float = field(default_factory=time.time)

    def look_at_way(self, directory: Path) -> None:
        """Warn if the service would not get to a directory: what root writes there says all is well, to root."""
        trouble = why_not_entered(self.owner, directory) if self.owner is not None else ""
        warning = f"{trouble}, or the gateway cannot read its files there"
        if trouble and warning not in self.asker.warnings:
            self.asker.warn(warning)

    def public_url(self, given: str | None) -> str:
        """https, no `_`; a name that does not resolve yet is a warning."""
        question = Question("--public-url", "Public URL, under which the client calls (https://scim.example.com)")
        url = self.asker.ask(question, given, lambda text: valid(PUBLIC_URL, text))
        host, port = host_and_port(url)
        if not self.offline and (trouble := why_not_resolved(host, port)):
            self.asker.warn(f"{host} does not resolve yet ({trouble}): make a DNS record for it")
        return url

    def listen(self, option: str, text: str, given: str | None, default: str) -> str:
        """host:port that can be listened on now."""

        def read(answer: str) -> str:
            address = valid(LISTEN_ADDRESS, answer)
            if trouble := why_not_listened(HostPort.parse(address)):
                raise ValueError(trouble)
            return address

        address = self.asker.ask(Question(option, text, default), given, read)
        if 0 < HostPort.parse(address).port < FIRST_UNPRIVILEGED_PORT:  # root may, and the service is not root
            self.asker.warn(f"{address} is for root, or for a service with CAP_NET_BIND_SERVICE; else take 8443")
        return address

    def certificate(self, given: str | None, host: str) -> Path | None:
        """The chain for the public host; None: make one for a trial."""
        text = "Certificate file: PEM, with its intermediate certificates (Enter: make one for a trial)"

        def read(answer: str) -> Path | None:
            if not answer:
                return None
            file = absolute(answer)
            found = [
                *pairs.examine_pair(("certificate", file), ("key", file), self.now),
                *pairs.examine_public_chain("certificate", file),
                *pairs.examine_name("certificate", file, host),
            ]
            self._judge([problem for problem in found if problem.key == "certificate"])
            return file

        return self.asker.ask(Question("--certificate-file", text, ""), given, read)

    def key(self, given: str | None, certificate: Path) -> Path:
        """The private key that belongs to the certificate."""

        def read(answer: str) -> Path:
            file = absolute(answer)
            found = [
                *pairs.examine_pair(("certificate", certificate), ("key", file), self.now),
                *checking.is_private("key", file),
            ]
            self._judge([problem for problem in found if problem.key == "key"])
            return file

        key = self.asker.ask(Question("--key-file", "Its private key: PEM, without a passphrase"), given, read)
        for file in (certificate, key):
            if self.owner is not None and not can_read(self.owner, file):
                self.asker.warn(f"{file} cannot be read by {self.owner.name}; chown {self.owner.name} {file}")
            self.look_at_way(file.parent)
        return key

    def upstream(self, given: str | None) -> Nodes:
        """One or several nodes, with or without the path; one that nobody answers at is a warning."""
        text = "Upstream: the application's SCIM URL inside (http://jira-1.internal:5501/scim/...; several with commas)"
        nodes = self.asker.ask(Question("--upstream", text), given, read_nodes)
        reached: list[str] = []
        for origin in () if self.offline else nodes.origins:
            if trouble := why_not_reached(origin):
                self.asker.warn(f"{origin} is not reached from here: {trouble}")
            else:
                reached.append(origin)
        return replace(nodes, reached=tuple(reached))

    def path(self, option: str, text: str, given: str | None, default: str | None) -> str:
        return self.asker.ask(Question(option, text, default), given, lambda answer: valid(PLAIN_PATH, answer))

    def client(self, given: str | None) -> Client:
        known = ", ".join(client.value for client in Client)

        def read(answer: str) -> Client:
            try:
                return Client(answer.lower())
            except ValueError:
                msg = f"must be one of {known}"
                raise ValueError(msg) from None

        return self.asker.ask(Question("--client", f"Client: {known}", "okta"), given, read)

    def sources(self, given: str | None, client: Client) -> tuple[str, ...]:
        """Networks and cells of feeds; none: from anywhere."""
        example = "azure:AzureActiveDirectory" if client is Client.ENTRA else "okta:us_cell_1"
        text = f"Networks that may call: CIDRs or feeds such as {example}, with commas (Enter: from anywhere)"

        def read(answer: str) -> tuple[str, ...]:
            entries = tuple(entry.strip() for entry in answer.split(",") if entry.strip())
            for entry in entries:
                parse_source(entry)
            return entries

        return self.asker.ask(Question("--sources", text, ""), given, read)

    def feed(self, name: str, given: str | None, default: Path, sources: tuple[str, ...]) -> Path:
        """The file of a feed, which must hold the cells that are named."""
        cells = [cell.cell for cell in map(parse_source, sources) if isinstance(cell, FeedCell) and cell.feed == name]

        def read(answer: str) -> Path:
            file = absolute(answer)
            feed = feed_in(name, file)
            for cell in cells:
                if not feed.get(cell):
                    msg = f"has not the cell {cell}; it has {cells_like(cell, feed)}"
                    raise ValueError(msg)
            return file

        return self.asker.ask(Question("--feed", f"File of the feed {name}", str(default)), given, read)

    def tenant(self, given: str | None, secrets: Path) -> str:
        def read(answer: str) -> str:
            if not name_is_plain(answer):
                raise ValueError(PLAIN_NAME)
            if os.path.lexists(secrets / answer):
                msg = f"would overwrite {secrets / answer}: give another name, or move that file"
                raise ValueError(msg)
            return answer

        return self.asker.ask(Question("--tenant", "Name of the tenant, in settings and logs", "jira"), given, read)

    def directory(self, option: str, text: str, given: str | None, default: str, base: Path) -> str:
        """Where something is kept; relative to the settings file, in `base`."""

        def read(answer: str) -> str:
            if not answer or ((base / answer).exists() and not (base / answer).is_dir()):
                msg = "must be a directory, or one that can be made"
                raise ValueError(msg)
            return answer

        return self.asker.ask(Question(option, text, default), given, read)

    def credential_name(self, given: str | None, default: str) -> str:
        """Never asked: the default says whose it is, and since when."""

        def read(answer: str) -> str:
            if not _CREDENTIAL_NAME.fullmatch(answer):
                msg = "must be made of letters, digits, '.', '_' and '-', at most 64"
                raise ValueError(msg)
            return answer

        return self.asker.ask(Question("--token-name", ""), given or default, read)

    def secret(self, file: str | None, tenant: Mapping[str, object], reached: Sequence[str]) -> str:
        """The application's secret: typed unseen, or from a file; one that the application refuses is refused.

        `tenant` is what else its settings say; `reached` are the nodes to show it to.
        """
        question = Question("--upstream-secret-file", "The application's secret, as it shows it", hidden=True)

        def read(secret: str) -> str:
            if not fits_a_field(secret):
                msg = "must be one secret: visible ASCII characters on one line, nothing else"
                raise ValueError(msg)
            asyncio.run(self._probe(Tenant.model_validate({**tenant, "upstream_token": SecretStr(secret)}), reached))
            if why := weakness(secret):
                self.asker.warn(f"the application's secret {why}; let the application make a stronger one")
            return secret

        if file is None:
            return self.asker.ask(question, None, read)
        return self.asker.ask(question, file, lambda name: read(secret_in(name)))

    async def _probe(self, tenant: Tenant, nodes: Sequence[str]) -> None:
        """Ask each node with the secret. What else is wrong there is a warning, for it may be right soon.

        Raises:
            ValueError: a node refuses the secret.
        """
        visit = Visit("", None, limits=Limits(patience_seconds=_PROBE_SECONDS))
        for node in nodes:
            found = await ask_node(visit, tenant, node)
            if is_about_the_secret(found):
                msg = f"cannot be right, for {found.seen}; compare it, and the path, with what the application shows"
                raise ValueError(msg)
            if found.grade is not Grade.OK:
                self.asker.warn(f"{found.seen}; {found.mend}")

    def _judge(self, problems: Sequence[Problem]) -> None:
        """Errors refuse an answer, warnings are told."""
        errors = [problem.text for problem in problems if problem.severity == "error"]
        if errors:
            raise ValueError("; ".join(dict.fromkeys(errors)))
        for problem in problems:
            self.asker.warn(problem.text)
