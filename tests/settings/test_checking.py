"""What a look at the machine finds: files, modes, certificates, weak secrets."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.settings.reading import examine
from tests.settings.files import spoil, write_good, write_private
from tests.settings.test_feeds import service_tags, tag
from tests.worlds import TOKEN, sha256

ED25519 = Ed25519PrivateKey.from_private_bytes(bytes(32)).private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
)
FAR = datetime.datetime(3500, 1, 1, tzinfo=datetime.UTC)  # trustme's authorities end with the year 2999


def said(file: Path, key: str, severity: str = "error") -> str:
    return " ".join(p.text for p in examine(file, {}).problems if p.key == key and p.severity == severity)


@pytest.mark.parametrize("name", ["tls/key.pem", "jira-secret"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_secret_that_others_can_read_is_refused(tmp_path: Path, name: str, mode: int) -> None:
    file = write_good(tmp_path)
    (tmp_path / name).chmod(mode)
    key = "listen.key_file" if name.startswith("tls") else "tenants.jira.upstream_token_file"

    assert f"chmod 600 {tmp_path / name}" in said(file, key)


@pytest.mark.parametrize(("mode", "fine"), [(0o440, True), (0o640, True), (0o644, False), (0o660, False)])
def test_root_may_give_a_secret_to_the_gateways_own_group(tmp_path: Path, mode: int, fine: bool) -> None:
    file = write_good(tmp_path)
    secret = tmp_path / "jira-secret"
    try:
        os.chown(secret, 0, 12345)
    except PermissionError:
        pytest.skip("only root can give files away")
    secret.chmod(mode)

    assert (said(file, "tenants.jira.upstream_token_file") == "") is fine


def test_one_token_in_two_files_is_found(tmp_path: Path) -> None:
    second = '[[tenants.jira.credentials]]\nname = "again"\ntoken_file = "token"\n\n[sources.okta]'
    file = spoil(tmp_path, ("[sources.okta]", second), token=TOKEN)

    assert "is the secret of" in said(file, "tenants.jira.credentials.1.token_sha256")


@pytest.mark.parametrize(
    ("name", "content", "key", "says"),
    [
        ("tls/key.pem", None, "listen.key_file", "No such file"),
        ("tls/key.pem", "garbage", "listen.key_file", "no private key"),
        ("tls/fullchain.pem", None, "listen.certificate_file", "No such file"),
        ("tls/fullchain.pem", "garbage", "listen.certificate_file", "no certificate"),
        ("jira-secret", None, "tenants.jira.upstream_token_file", "No such file"),
        ("jira-secret", "", "tenants.jira.upstream_token_file", "one secret"),
        ("jira-secret", "two words\nand lines", "tenants.jira.upstream_token_file", "one secret"),
        ("ranges.json", None, "sources.okta.file", "No such file"),
        ("ranges.json", "{}", "sources.okta.file", "no networks"),
        ("ranges.json", "<html>", "sources.okta.file", "not JSON"),
        ("ranges.json", "[]", "sources.okta.file", "no networks"),
    ],
)
def test_a_file_that_is_missing_or_wrong_is_named(
    tmp_path: Path, name: str, content: str | None, key: str, says: str
) -> None:
    assert says in said(spoil(tmp_path, **{name: content}), key)


def test_a_tag_that_azures_file_has_not_is_named_with_those_it_has(tmp_path: Path) -> None:
    tags = service_tags(
        tag("AzureActiveDirectory", "192.0.2.0/25"), tag("AzureSQL.WestEurope", "192.0.2.0/25")
    ).decode()
    ask = ('"okta:us_cell_1"', '"okta:AzureActiveDirectory.WestEurope"')
    text = said(spoil(tmp_path, ask, **{"ranges.json": tags}), "tenants.jira.sources.0")

    assert "AzureActiveDirectory.WestEurope, which the feed has not" in text
    assert "it has AzureActiveDirectory, AzureSQL.WestEurope" in text
    good = spoil(tmp_path, ('"okta:us_cell_1"', '"okta:AzureSQL.WestEurope"'), **{"ranges.json": tags})
    assert said(good, "tenants.jira.sources.0") == ""


def test_a_network_that_is_none_is_found_before_the_start(tmp_path: Path) -> None:
    file = spoil(tmp_path, **{"ranges.json": '{"us_cell_1": {"ip_ranges": ["192.0.2.1/25"]}}'})

    assert "no network" in said(file, "sources.okta.file")


def test_a_directory_in_place_of_a_file_is_said_so(tmp_path: Path) -> None:
    file = spoil(tmp_path, ('"jira-secret"', '"tls"'))

    assert "directory" in said(file, "tenants.jira.upstream_token_file")


def put_pair(directory: Path, leaf: trustme.LeafCert, *, chain: bool = True) -> None:
    blobs = leaf.cert_chain_pems if chain else leaf.cert_chain_pems[:1]
    (directory / "tls/fullchain.pem").write_bytes(b"".join(blob.bytes() for blob in blobs))
    write_private(directory / "tls/key.pem", leaf.private_key_pem.bytes().decode())


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    file = write_good(tmp_path)
    write_private(tmp_path / "tls/key.pem", trustme.CA().issue_cert("x").private_key_pem.bytes().decode())

    assert "not the key" in said(file, "listen.key_file")


def test_a_chain_without_its_intermediate_is_refused(tmp_path: Path) -> None:
    file = write_good(tmp_path)
    child = trustme.CA().create_child_ca()
    put_pair(tmp_path, child.issue_cert("scim.example.com"), chain=False)
    assert "append the intermediate" in said(file, "listen.certificate_file")

    put_pair(tmp_path, child.issue_cert("scim.example.com"))
    assert said(file, "listen.certificate_file") == ""


def test_a_certificate_of_an_authority_that_this_machine_trusts_stands_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_good(tmp_path)
    ours, another = trustme.CA(), trustme.CA()
    put_pair(tmp_path, ours.issue_cert("scim.example.com"), chain=False)
    another.cert_pem.write_to_path(tmp_path / "trusted.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trusted.pem"))
    assert "append the intermediate" in said(file, "listen.certificate_file")

    ours.cert_pem.write_to_path(tmp_path / "trusted.pem", append=True)
    assert said(file, "listen.certificate_file") == ""


def test_a_chain_out_of_order_is_refused(tmp_path: Path) -> None:
    file = write_good(tmp_path)
    child = trustme.CA().create_child_ca()
    leaf = child.issue_cert("scim.example.com")
    put_pair(tmp_path, leaf)
    stranger = trustme.CA().cert_pem.bytes()
    (tmp_path / "tls/fullchain.pem").write_bytes(leaf.cert_chain_pems[0].bytes() + stranger)

    assert "out of order" in said(file, "listen.certificate_file")


@pytest.mark.parametrize(
    ("begins_days", "ends_days", "severity", "says"),
    [
        (-10, -1, "error", "expired"),
        (1, 90, "error", "not valid before"),
        (-1, 10, "warning", "renew it"),
        (-1, 90, "error", ""),
    ],
)
def test_a_certificate_is_looked_at_for_its_dates(
    tmp_path: Path, begins_days: int, ends_days: int, severity: str, says: str
) -> None:
    file = write_good(tmp_path)
    now = datetime.datetime.now(datetime.UTC)
    leaf = (
        trustme.CA()
        .create_child_ca()
        .issue_cert(
            "scim.example.com",
            not_before=now + datetime.timedelta(days=begins_days),
            not_after=now + datetime.timedelta(days=ends_days),
        )
    )
    put_pair(tmp_path, leaf)

    assert says in said(file, "listen.certificate_file", severity)
    assert bool(says) == bool(said(file, "listen.certificate_file", severity))


def test_an_intermediate_that_has_ended_is_as_bad_as_a_certificate_that_has(tmp_path: Path) -> None:
    file = write_good(tmp_path)
    put_pair(tmp_path, trustme.CA().create_child_ca().issue_cert("scim.example.com", not_after=FAR))
    long_after = datetime.datetime(3001, 1, 1, tzinfo=datetime.UTC).timestamp()
    texts = [p.text for p in examine(file, {}, long_after).problems if p.key == "listen.certificate_file"]

    assert any("certificate 2, has expired" in text for text in texts)
    assert not any("fullchain.pem has expired" in text for text in texts)


@pytest.mark.parametrize(
    ("name", "fits"), [("scim.example.com", True), ("*.example.com", True), ("example.com", False)]
)
def test_a_certificate_is_for_the_public_host(tmp_path: Path, name: str, fits: bool) -> None:
    file = write_good(tmp_path)
    put_pair(tmp_path, trustme.CA().create_child_ca().issue_cert(name))

    assert ("is not for scim.example.com" in said(file, "listen.certificate_file")) is not fits


@pytest.mark.parametrize("word", ["test", "secret", "password", "changeme", ""])
def test_the_digest_of_a_well_known_word_is_refused(tmp_path: Path, word: str) -> None:
    file = spoil(tmp_path, (sha256(TOKEN), sha256(word)))

    assert "scim-gateway token new" in said(file, "tenants.jira.credentials.0.token_sha256")


@pytest.mark.parametrize(("token", "weak"), [("short", True), ("a" * 40, True), (TOKEN, False)])
def test_a_token_in_a_file_is_looked_at(tmp_path: Path, token: str, weak: bool) -> None:
    file = spoil(tmp_path, (f'token_sha256 = "{sha256(TOKEN)}"', 'token_file = "token"'), token=token)

    assert ("scim-gateway token new" in said(file, "tenants.jira.credentials.0.token_file")) is weak


def test_a_weak_secret_of_the_upstream_is_a_warning(tmp_path: Path) -> None:
    file = spoil(tmp_path, **{"jira-secret": "kantega"})

    assert said(file, "tenants.jira.upstream_token", "warning")
    assert examine(file, {}).errors == ()


def test_a_secret_in_the_clear_to_a_public_host_is_a_warning(tmp_path: Path) -> None:
    file = spoil(tmp_path, ("jira-1.internal", "jira.example.com"))

    assert "in the clear" in said(file, "tenants.jira.upstream.0", "warning")


def test_a_state_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    file = write_good(tmp_path)
    (tmp_path / "state").write_text("")

    assert "not a directory" in said(file, "gateway.state_directory")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        (b"garbage", "no private key"),
        ("tls/key.pem", "another kind than Ed25519"),
        (ED25519, ""),
    ],
)
def test_the_key_of_the_audit_log_is_looked_at(tmp_path: Path, content: bytes | str | None, says: str) -> None:
    file = spoil(tmp_path, ("[audit]", '[audit]\nkey_file = "audit.pem"'))
    if content is not None:
        (tmp_path / "audit.pem").write_bytes((tmp_path / content).read_bytes() if isinstance(content, str) else content)
        (tmp_path / "audit.pem").chmod(0o600)
    found = said(file, "audit.key_file")

    assert says in found
    assert bool(found) is bool(says)


SYSLOG = """directory = "audit"

[audit.syslog]
address = "logs.internal:6514"
ca_file = "tls/ca.pem"
certificate_file = "tls/fullchain.pem"
key_file = "client.key"
"""


METRICS = """directory = "audit"

[metrics]
address = "0.0.0.0:9464"
certificate_file = "tls/fullchain.pem"
key_file = "metrics.key"
"""


@pytest.mark.parametrize(
    ("section", "name", "content", "key", "says"),
    [
        (SYSLOG, "tls/ca.pem", "garbage", "audit.syslog.ca_file", "no certificate"),
        (SYSLOG, "tls/fullchain.pem", "garbage", "audit.syslog.certificate_file", "no certificate"),
        (SYSLOG, "tls/ca.pem", None, "audit.syslog.ca_file", "No such file"),
        (SYSLOG, "client.key", "garbage", "audit.syslog.key_file", "no private key"),
        (METRICS, "tls/fullchain.pem", "garbage", "metrics.certificate_file", "no certificate"),
        (METRICS, "metrics.key", "garbage", "metrics.key_file", "no private key"),
        (METRICS, "tls/fullchain.pem", None, "metrics.certificate_file", "No such file"),
    ],
)
def test_a_file_towards_the_syslog_server_or_of_the_metrics_that_is_no_use_is_named(
    tmp_path: Path, section: str, name: str, content: str | None, key: str, says: str
) -> None:
    assert says in said(spoil(tmp_path, ('directory = "audit"\n', section), **{name: content}), key)


@pytest.mark.parametrize("form", ["alone", "with-its-root", "signed-by-itself"])
@pytest.mark.parametrize(("section", "key"), [(SYSLOG, "client.key"), (METRICS, "metrics.key")])
def test_whoever_is_shown_a_certificate_inside_has_its_authority(
    tmp_path: Path, section: str, key: str, form: str
) -> None:
    file = spoil(tmp_path, ('directory = "audit"\n', section.replace("tls/fullchain.pem", "shown.pem")))
    authority = trustme.CA()
    leaf = authority.issue_cert("gateway.internal")
    shown = leaf.cert_chain_pems[0].bytes() + (authority.cert_pem.bytes() if form == "with-its-root" else b"")
    private = leaf.private_key_pem.bytes()
    if form == "signed-by-itself":
        shown, private = authority.cert_pem.bytes(), authority.private_key_pem.bytes()
    (tmp_path / "shown.pem").write_bytes(shown)
    write_private(tmp_path / key, private.decode())

    assert said(file, "audit.syslog.certificate_file") == said(file, "metrics.certificate_file") == ""


def test_a_key_of_the_metrics_listener_is_private(tmp_path: Path) -> None:
    file = spoil(tmp_path, ('directory = "audit"\n', METRICS))
    write_private(tmp_path / "metrics.key", (tmp_path / "tls/key.pem").read_text())
    assert said(file, "metrics.key_file") == ""

    (tmp_path / "metrics.key").chmod(0o644)
    assert "chmod 600" in said(file, "metrics.key_file")


def test_a_key_towards_the_syslog_server_is_private(tmp_path: Path) -> None:
    file = spoil(tmp_path, ('directory = "audit"\n', SYSLOG))
    write_private(tmp_path / "client.key", (tmp_path / "tls/key.pem").read_text())
    assert said(file, "audit.syslog.key_file") == ""

    (tmp_path / "client.key").chmod(0o644)
    assert "chmod 600" in said(file, "audit.syslog.key_file")


@pytest.mark.parametrize(
    "address", ["logs.internal", "logs.internal:0", "0.0.0.0:6514", "[::]:6514", "http://logs:6514"]
)
def test_a_syslog_server_is_a_host_and_a_port(tmp_path: Path, address: str) -> None:
    file = spoil(tmp_path, ('directory = "audit"\n', SYSLOG), ("logs.internal:6514", address))

    assert "must" in said(file, "audit.syslog.address")
