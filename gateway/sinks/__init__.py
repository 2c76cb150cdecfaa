"""The audit log's ways out: each line is sent on, in order and at least once, and the record never waits for it."""

from gateway.sinks.outlets import Outlet
from gateway.sinks.sink import Sink
from gateway.sinks.stdout import StdoutOutlet
from gateway.sinks.syslog import SyslogOutlet

__all__ = ["Outlet", "Sink", "StdoutOutlet", "SyslogOutlet"]
