"""docs/deploy.md says what the code does: its settings can be read, its names are those of the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from gateway.server.draining import LINGER_SECONDS
from gateway.settings.models import ListenSection
from gateway.wire.proxy_protocol import MAX_V1_BYTES, MAX_V2_BYTES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/deploy.md").read_text("utf-8")


def test_its_settings_can_be_read() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)

    assert len(blocks) == 2
    for block in blocks:
        listen = tomllib.loads(block)["listen"]
        assert ListenSection.model_validate({"certificate_file": "c", "key_file": "k", **listen}).trusted_proxies


def test_it_explains_every_name_of_a_refused_header_and_no_other() -> None:
    code = "".join(file.read_text() for place in ("wire", "server") for file in (ROOT / "gateway" / place).glob("*.py"))
    names = set(re.findall(r'"(proxy-[a-z-]+)"', code))

    assert len(names) == 6
    assert {name for name in re.findall(r"`(proxy-[a-z-]+)`", PAGE) if name} == names


def test_its_numbers_are_the_codes() -> None:
    assert f"at most {MAX_V1_BYTES} (version 1) or {MAX_V2_BYTES} bytes" in PAGE
    assert f"ask once more for {LINGER_SECONDS:.0f} s" in PAGE


def test_what_it_says_of_wrong_sockets_is_said() -> None:
    code = (ROOT / "gateway/server/handover.py").read_text()
    for said in (
        "sockets were handed to process",
        "not to this one",
        "does not listen; the socket unit needs Accept=no",
    ):
        assert said in PAGE
        assert said in code
    assert "2 sockets are named public" in PAGE
    assert "sockets are named {name}" in code


def test_its_links_lead_to_files() -> None:
    for page in ("docs/deploy.md", "deploy/README.md"):
        text = (ROOT / page).read_text("utf-8")
        for target in re.findall(r"\]\((?!http)([^)#]+)", text):
            assert (ROOT / page).parent.joinpath(target).exists(), f"{page}: {target}"
