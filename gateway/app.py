"""Composition: the one place that builds everything, runs it, reloads it and takes it down in order."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial

from gateway import __version__, history, rounds, surroundings, vitals
from gateway.admin import Admin
from gateway.caller import Ourselves
from gateway.desk import Desk
from gateway.exchange import Delivery
from gateway.journal import Journal, Rotation, exclusive
from gateway.journal.disk import Disk
from gateway.journal.retention import Keeping
from gateway.keyring import Keyring
from gateway.metrics import Metrics
from gateway.overview import Overview
from gateway.pipeline import Pipeline
from gateway.server.control import SOCKET_NAME, ControlSocket
from gateway.server.draining import drain
from gateway.server.http import HttpServer
from gateway.server.listener import Listener, listening_socket
from gateway.server.service_manager import ServiceManager
from gateway.server.tls import Certificates, certificates_of_metrics
from gateway.settings.models import AlertsSection, Settings
from gateway.settings.problems import SettingsInvalid
from gateway.settings.reloading import digest, refuse_fixed
from gateway.sinks import shipped, sinks_of
from gateway.stages.admission import Admission
from gateway.stages.forwarding import Forwarding, Node, Transition, Upstream, open_upstreams
from gateway.stages.guarding import Directories, GuardEvent, Guarding
from gateway.stages.identity import FeedInvalid, Feeds, Identity, own_authorities
from gateway.stages.recording import Recording
from gateway.stages.recording.connections import Connections
from gateway.stages.recording.upkeep import Upkeep
from gateway.state.failures import Failures
from gateway.state.keeper import Keeper
from gateway.state.last_use import LastUse
from gateway.state.places import Places
from gateway.state.rates import Rates
from gateway.state.turns import Turns
from gateway.webhook import Webhook

__all__ = ["FeedInvalid", "Instance", "run_instance"]

log = logging.getLogger(__name__)

PROBE_TICK_SECONDS = 0.25  # each node has its own times; this is how exactly they are kept
TICK_SECONDS = 1.0
WEBHOOK_SECONDS = 10.0  # for one attempt

Reread = Callable[[], Awaitable[Settings]]


async def run_instance(
    settings: Settings,
    *,
    ready: Callable[[Instance], None],
    stop: asyncio.Event,
    reread: Reread | None = None,
    disk: Disk | None = None,
) -> None:
    """Run a gateway until `stop` is set; see `Instance.run`. `ready` is told once it serves; `disk` has the log."""
    await Instance(settings, reread, disk).run(ready, stop)


class Instance:
    """One running gateway. State, journal, metrics and sockets live as long as it; a reload swaps the rest.

    To be made inside the running loop.

    Raises:
        FeedInvalid: a feed of networks is not usable at the start.
    """

    def __init__(self, settings: Settings, reread: Reread | None = None, disk: Disk | None = None) -> None:
        self.settings = settings
        self.manager = ServiceManager()  # nobody; whoever runs us under one puts it here
        self.draining = False
        self.reload_problem = ""  # why the settings read last are not in use; "" when they are
        self.rates, self.places, self.turns = Rates(), Places(), Turns()
        self.failures, self.last_use = Failures(), LastUse()
        self.feeds = Feeds.of(settings)
        self.upstreams: dict[str, Upstream] = {}
        self.journal = Journal(
            settings.audit.directory, instance=socket.gethostname(), rotation=_rotation(settings), disk=disk
        )
        self.sinks = sinks_of(settings, self.journal)
        self.metrics = Metrics(settings.tenants, version=__version__)
        self.recording = Recording(
            self.journal, self.metrics, instance=socket.gethostname(), on_failure=settings.audit.on_failure
        )
        self.connections = Connections(self.recording)
        keeping = Keeping(settings.audit.keep_days, partial(shipped, self.sinks))
        self.upkeep = Upkeep(self.journal, self.recording, self.metrics, keeping=keeping)
        self.keeper = Keeper(settings.gateway.state_directory, time.time, time.monotonic)
        self.guard_events: asyncio.Queue[GuardEvent] = asyncio.Queue()
        self.guarding = Guarding(self.keeper, Directories(time.monotonic))
        self.guarding.on_event = self.guard_events.put_nowait
        self.desk, self.keyring, self.overview = Desk(self), Keyring(self), Overview(self)
        self.webhook = _webhook(settings.alerts)
        self._transitions: asyncio.Queue[Transition] = asyncio.Queue()
        self._reread = reread
        self._wants_reload = asyncio.Event()

    @property
    def port(self) -> int:
        """Of the public listener."""
        return self.listener.port

    @property
    def admin_port(self) -> int:
        return self._admin.port

    @property
    def metrics_port(self) -> int:
        return self._admin.metrics_port

    def request_reload(self) -> None:
        """Read the settings again, soon; for signal handlers."""
        self._wants_reload.set()

    async def run(self, ready: Callable[[Instance], None], stop: asyncio.Event) -> None:
        """Serve until `stop` is set, end what is under way, and return.

        Raises:
            DirectoryInUse: another instance has the state or the audit directory.
            KeyUnusable: the audit log cannot be signed with the key that there is.
            CredentialsUnavailable: nobody knows which credentials were made or revoked at run time.
            OSError: a port is taken, or a file or directory cannot be used.
        """
        async with AsyncExitStack() as stack:
            stack.enter_context(exclusive(self.settings.gateway.state_directory))
            await self.upkeep.begin(self.settings.audit.key_file, self.settings.gateway.state_directory)
            await stack.enter_async_context(self.journal)
            # At once: opened, the log is mended, and the next start finds nothing.
            await self.upkeep.note_what_was_found()
            await stack.enter_async_context(self.keeper)
            await stack.enter_async_context(self.keyring.keeper)
            await self._open_on_record(stack)
            await self._note_start()
            handlers = {**self.desk.handlers, **self.keyring.handlers, **self.overview.handlers}
            control = ControlSocket(self.settings.gateway.state_directory / SOCKET_NAME, handlers)
            async with control, asyncio.TaskGroup() as tasks:
                accepting = tasks.create_task(self.listener.run())
                running = [tasks.create_task(work) for work in self._background()]
                log.info("ready", extra={"port": self.port, "admin_port": self.admin_port, "version": __version__})
                ready(self)
                self.manager.say_ready(vitals.status(self))
                await stop.wait()
                await self._drain(accepting)
                await self.connections.drain()
                for task in running:
                    task.cancel()
            await self.recording.flush(at_end=True)
            await self.recording.tell("stop")
            await self.upkeep.checkpoint()
            log.info("stopped")

    # Starting --------------------------------------------------------------------------------------

    async def _open_on_record(self, stack: AsyncExitStack) -> None:
        try:
            await self._open(stack)
        except (OSError, ValueError) as error:
            await self.recording.tell("start-failed", why=getattr(error, "strerror", None) or str(error))
            raise

    async def _open(self, stack: AsyncExitStack) -> None:
        settings = self.settings
        self.upstreams = open_upstreams(settings.tenants, on_transition=self._transitions.put_nowait)
        self.certificates = Certificates(settings.listen)
        self.server = HttpServer(settings.listen, lambda: self.pipeline)
        listening = self.manager.sockets.get("public") or listening_socket(settings.listen.address)
        stack.callback(listening.close)
        self.listener = Listener(listening, self.server, self.certificates.front)
        self.listener.on_failure = self.connections.note
        self.pipeline = self._build_pipeline(settings)
        stack.push_async_callback(self._close_upstreams)
        stack.push_async_callback(self.server.drain, 0)  # a second signal leaves no time, but each gets its record
        self.metrics_certificates = certificates_of_metrics(settings.metrics)
        self._admin = Admin(
            settings.admin,
            self.metrics,
            lambda: vitals.checks(self),
            self.manager.sockets.get("admin"),
            elsewhere=settings.metrics,
            tls=self.metrics_certificates.front if self.metrics_certificates else None,
        )
        await self._admin.start()
        stack.push_async_callback(self._admin.stop)
        vitals.follow(self)

    def _build_pipeline(self, settings: Settings) -> Pipeline:
        authorities, known = own_authorities(settings, self.port), self.keyring.index(settings)
        return Pipeline(
            identity=Identity(settings, authorities, self.feeds, known, self.failures, self.last_use, time.monotonic),
            admission=Admission(self.rates, self.places, self.turns, time.monotonic),
            guarding=self.guarding,
            forwarding=Forwarding(self.upstreams),
            recording=self.recording,
            body_seconds=settings.listen.body_seconds,
            settings=digest(settings),
        )

    async def _note_start(self) -> None:
        await history.note_start(self.recording, self.settings, digest(self.settings), __version__)
        await self.upkeep.checkpoint()
        self.guarding.tell_what_waits()
        await self.desk.let_go()
        self._note_settings_in_use()

    def _background(self) -> tuple[Coroutine[None, None, None], ...]:
        return (
            self.certificates.watch(),
            *((self.metrics_certificates.watch(),) if self.metrics_certificates else ()),
            surroundings.watch(self),
            self._watch_feeds(),
            self._probe(),
            self._note_transitions(),
            *rounds.of_the_guard(self),
            self.keyring.run(),
            self.overview.run(),
            self.upkeep.run(),
            self.connections.run(),
            *(sink.run() for sink in self.sinks),
            self._tick(),
            self._reload_on_request(),
            self.manager.reassure(lambda: self.journal.busy_seconds),
        )

    # Running ---------------------------------------------------------------------------------------

    async def _watch_feeds(self) -> None:
        while True:
            await asyncio.sleep(5)
            await self.feeds.look()  # the present ones: a reload puts others in their place

    async def _probe(self) -> None:
        async with asyncio.TaskGroup() as probes:  # which end with this task: a silent node shall not delay a stop
            while True:
                for upstream in self.upstreams.values():  # the present ones: a reload puts others in their place
                    for node in upstream.nodes_to_probe():
                        probes.create_task(_probe(upstream, node))
                await asyncio.sleep(PROBE_TICK_SECONDS)

    async def _note_transitions(self) -> None:
        while True:
            change = await self._transitions.get()
            self.metrics.observe_transition(change.tenant_name, change.node, change.after)
            await self.recording.tell(
                "node-state",
                tenant=change.tenant_name,
                node=change.node,
                before=change.before,
                after=change.after,
                why=change.why,
            )

    async def ask(self, tenant_name: str, target: str) -> Delivery:
        """A question of our own, which no client waits for."""
        ourselves = Ourselves(asyncio.get_running_loop().time())
        return await self.pipeline.forwarding.ask(tenant_name, target, None, ourselves)

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            self.metrics.observe_lag(max(0.0, loop.time() - due))
            vitals.show(self)
            await self.recording.flush()

    # Reloading -------------------------------------------------------------------------------------

    async def _reload_on_request(self) -> None:
        async with asyncio.TaskGroup() as closing:
            while True:
                await self._wants_reload.wait()
                self._wants_reload.clear()
                if self._reread is None:
                    continue
                self.manager.say_reloading(time.monotonic())
                for upstream in await self._reload(self._reread):
                    closing.create_task(upstream.aclose())
                self.manager.say_ready(vitals.status(self))

    async def _reload(self, reread: Reread) -> list[Upstream]:
        """Put the settings that are read now in use, or keep the old ones; the upstreams of before, to be closed."""
        before = self.settings
        try:
            left_over = self._take(await reread())
        except (SettingsInvalid, FeedInvalid, OSError, ValueError) as error:
            await self._refuse_reload(str(error))
            return []
        except Exception as error:
            # A fault in reading them ends this task, and so the whole gateway, which serves well as it is.
            log.exception("the new settings could not be judged")
            await self._refuse_reload(f"they could not be judged: {type(error).__name__}")
            return []
        name = digest(self.settings)
        await history.note_reload(self.recording, before, self.settings, name)
        await self.desk.let_go()
        self._note_settings_in_use()
        log.warning("the settings were read again and are in use", extra={"settings": name})
        return left_over

    def _take(self, settings: Settings) -> list[Upstream]:
        """Put new settings in use, all or none; the upstreams of before, to be closed.

        Raises:
            ValueError, FeedInvalid, OSError: they cannot be used; nothing has changed.
        """
        refuse_fixed(self.settings, settings)
        feeds = Feeds.of(settings, self.feeds)
        before = self.upstreams
        upstreams = open_upstreams(settings.tenants, before, on_transition=self._transitions.put_nowait)
        # From here on nothing can fail, and nothing is awaited: a request sees the old settings or the new ones.
        self.feeds, self.upstreams, self.settings = feeds, upstreams, settings
        self.pipeline = self._build_pipeline(settings)
        self.server.use(settings.listen)
        self.certificates.follow(settings.listen)
        self.recording.on_failure = settings.audit.on_failure
        return list(before.values())

    async def _refuse_reload(self, why: str) -> None:
        self.reload_problem = why
        self.metrics.gauges.reload_succeeded.set(0)
        log.error("the new settings are refused and the old ones kept: %s", why)
        await self.recording.tell("reload-refused", why=why)

    def _note_settings_in_use(self) -> None:
        self.reload_problem, self.settings_digest, self.settings_since = "", digest(self.settings), time.time()
        self.metrics.gauges.reload_succeeded.set(1)
        self.metrics.gauges.reload_succeeded_at.set(self.settings_since)
        self.keyring.note_settings_in_use()
        self.metrics.gauges.show_upstream_certificates(surroundings.upstream_certificates(self.settings))
        vitals.show(self)

    def renew_pipeline(self) -> None:
        """Let clients in by the credentials that there are now; whoever is in already goes on."""
        self.pipeline = self._build_pipeline(self.settings)

    # Stopping --------------------------------------------------------------------------------------

    async def _drain(self, accepting: asyncio.Task[None]) -> None:
        """/readyz says no; then nobody new; then those under way, each to its recorded end."""
        self.draining = True
        self.metrics.gauges.draining.set(1)
        log.warning("stopping: requests under way end first")
        self.manager.say_stopping("stopping: requests under way end first")
        await asyncio.sleep(self.settings.gateway.drain_delay_seconds)
        await drain(self.listener, accepting, self.server, self.settings.gateway.drain_seconds)

    async def _close_upstreams(self) -> None:
        await self.pipeline.forwarding.aclose()


def _webhook(alerts: AlertsSection) -> Webhook | None:
    if alerts.webhook_url is None:
        return None
    token = alerts.webhook_token
    return Webhook(alerts.webhook_url, token.get_secret_value() if token else None, WEBHOOK_SECONDS)


def _rotation(settings: Settings) -> Rotation:
    audit = settings.audit
    return Rotation(audit.max_segment_mib << 20, audit.max_segment_hours * 3600.0)


async def _probe(upstream: Upstream, node: Node) -> None:
    try:
        await upstream.probe(node)
    except Exception:  # a fault of ours shall not end the gateway, which serves all the same
        log.exception("a probe failed", extra={"tenant": upstream.tenant_name, "node": node.name})
