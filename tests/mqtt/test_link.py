"""The one connection to a broker, on a real mosquitto."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.mqtt.link import Broker, Link, LinkDown, LinkRefused, PublishRefused, Received, Will, tls_context
from drivers.settings import Secret
from tests.mqtt.broker import DURABLE, Mosquitto


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as broker:
        yield broker


@pytest.fixture
def gateway(mosquitto: Mosquitto) -> Broker:
    return Broker(host="127.0.0.1", port=mosquitto.port, client_id="gateway")


@pytest.fixture
async def sender(mosquitto: Mosquitto) -> AsyncIterator[Link]:
    async with Link(Broker(host="127.0.0.1", port=mosquitto.port, client_id="sender")) as link:
        yield link


async def _take(link: Link, count: int) -> list[Received]:
    found: list[Received] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            found += await link.received()
    return found


async def test_what_was_not_acknowledged_comes_again_and_says_so(gateway: Broker, sender: Link) -> None:
    async with Link(gateway) as link:
        assert not link.is_resumed
        await link.subscribe(["jobs/#"])
        for number in range(5):
            await sender.publish("jobs/a", b"%d" % number)
        first = await _take(link, 5)
        assert [message.payload for message in first] == [b"0", b"1", b"2", b"3", b"4"]
        assert not any(message.is_repeated for message in first)
        for message in first[:3]:
            link.acknowledge(message)
        # Its acknowledgement comes behind ours, so the broker has taken those too.
        await link.publish("elsewhere", b"")
    await sender.publish("jobs/a", b"while away")
    async with Link(gateway) as link:
        assert link.is_resumed
        again = await _take(link, 3)
        assert [(message.payload, message.is_repeated) for message in again] == [
            (b"3", True), (b"4", True), (b"while away", False),
        ]  # fmt: skip
        link.acknowledge(first[0])  # of another connection: at worst an id that the broker does not know


async def test_receive_maximum_bounds_what_is_in_flight(gateway: Broker, sender: Link) -> None:
    async with Link(replace(gateway, receive_maximum=4)) as link:
        await link.subscribe(["jobs/#"])
        for number in range(10):
            await sender.publish("jobs/a", b"%d" % number)
        first = await _take(link, 4)
        await link.publish("elsewhere", b"")
        assert not link._inbox
        for message in first:
            link.acknowledge(message)
        assert [message.payload for message in await _take(link, 4)] == [b"4", b"5", b"6", b"7"]


async def test_a_retained_job_does_not_come_with_each_subscription(gateway: Broker, sender: Link) -> None:
    await sender.publish("jobs/a", b"old", is_retained=True)
    async with Link(gateway) as link:
        await link.subscribe(["jobs/#"])
        await sender.publish("jobs/a", b"new")
        assert [message.payload for message in await _take(link, 1)] == [b"new"]


async def test_many_publish_at_once_and_each_returns_when_the_broker_has_it(gateway: Broker, sender: Link) -> None:
    async with Link(gateway) as link:
        await link.subscribe(["jobs/#"])
        async with asyncio.timeout(10):
            await asyncio.gather(*(sender.publish("jobs/a", b"%d" % number) for number in range(200)))
        found: list[Received] = []
        while len(found) < 200:
            for message in await _take(link, 1):
                link.acknowledge(message)
                found.append(message)
        assert sorted(int(message.payload) for message in found) == list(range(200))


async def test_a_broker_that_dies_ends_everything_that_waits(
    gateway: Broker, sender: Link, mosquitto: Mosquitto
) -> None:
    async with Link(gateway) as link:
        waiting = [asyncio.create_task(link.received()), asyncio.create_task(link.lost())]
        await asyncio.sleep(0)
        mosquitto.freeze(is_frozen=True)
        waiting.append(asyncio.create_task(link.publish("a", b"")))
        await asyncio.sleep(0.05)
        mosquitto.kill()
        async with asyncio.timeout(10):
            faults = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(fault) for fault in faults} == {LinkDown}
        assert f"127.0.0.1:{mosquitto.port} was lost" in str(faults[0])
        with pytest.raises(LinkDown):
            await link.publish("a", b"")
    with pytest.raises(LinkDown, match="cannot be reached: Connection refused"):
        async with Link(gateway):
            pass


async def test_the_will_is_published_when_we_vanish_and_not_after_a_goodbye(gateway: Broker, sender: Link) -> None:
    await sender.subscribe(["here"])
    broker = replace(gateway, will=Will(topic="here", payload=b"offline"))
    async with Link(broker) as link:
        await link.publish("here", b"online")
    async with Link(broker) as link:
        socket = link._paho.socket()
        assert socket is not None
        socket.shutdown(2)
        with pytest.raises(LinkDown):
            await link.lost()
    assert [message.payload for message in await _take(sender, 2)] == [b"online", b"offline"]


CONNACK = bytes.fromhex("20 03 00 00 00")


@pytest.mark.parametrize(
    ("said", "fault", "sentence"),
    [
        # MQTT 5 §3.14.2.1; mosquitto 2.0.11 closes without this word.
        ("e0 02 8e 00", LinkRefused, 'another client connected to .* as "x"; give each gateway a device_id of its own'),
        ("e0 02 98 00", LinkRefused, "ended the connection: Administrative action"),
        ("e0 02 8b 00", LinkDown, "was lost: Server shutting down"),
        ("", LinkDown, "was lost$"),
    ],
    ids=["session taken over", "administrative action", "shutting down", "end of stream"],
)
async def test_the_brokers_last_word_is_passed_on(said: str, fault: type[LinkDown], sentence: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(CONNACK)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(bytes.fromhex(said))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with Link(Broker(host="127.0.0.1", port=port, client_id="x")) as link:
            with pytest.raises(LinkDown, match=sentence) as caught:
                await link.received()
    assert type(caught.value) is fault


async def test_a_broker_that_takes_the_connection_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.mqtt.link._CONNECT_S", 0.2)
    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda reader, writer: writers.append(writer), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(LinkDown, match="does not answer"):
            async with Link(Broker(host="127.0.0.1", port=port, client_id="x")):
                pass
        for writer in writers:
            # Else it is complained of in whichever test the collector finds it.
            writer.close()
            await writer.wait_closed()


async def test_rights_and_passwords_are_told_apart_from_a_broker_that_is_away(tmp_path: Path) -> None:
    passwords, rights = tmp_path / "passwords", tmp_path / "rights"
    passwords.write_text("gateway:secret\n")
    rights.write_text("user gateway\ntopic readwrite mine/#\n")
    options = f"allow_anonymous false\npassword_file {passwords}\nacl_file {rights}\n"
    hash_with = Mosquitto(tmp_path / "broker", listener=options)
    tool = hash_with.root / "usr/bin/mosquitto_passwd"
    subprocess.run([tool, "-U", passwords], check=True, env=hash_with._environment)
    with hash_with as mosquitto:
        broker = Broker(
            host="127.0.0.1", port=mosquitto.port, client_id="x", username="gateway", password=Secret("secret")
        )
        with pytest.raises(LinkRefused, match="check user name and password"):
            async with Link(replace(broker, password=Secret("wrong"))):
                pass
        async with Link(broker) as link:
            await link.publish("mine/a", b"")
            with pytest.raises(PublishRefused, match="refuses theirs/a: Not authorized"):
                await link.publish("theirs/a", b"")
            await link.publish("mine/a", b"the link is as good as before")


# paho leaves a socket whose handshake failed to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_tls_with_a_client_certificate_and_a_ca_of_ones_own(tmp_path: Path) -> None:
    _certificates(tmp_path)
    files = {name: tmp_path / name for name in ("ca.pem", "server.pem", "server.key", "client.pem", "client.key")}
    listener = (
        f"allow_anonymous true\ncafile {files['ca.pem']}\ncertfile {files['server.pem']}\n"
        f"keyfile {files['server.key']}\nrequire_certificate true\n"
    )
    with Mosquitto(tmp_path / "broker", listener=listener) as mosquitto:
        tls = tls_context(files["ca.pem"], files["client.pem"], files["client.key"])
        broker = Broker(host="127.0.0.1", port=mosquitto.port, client_id="x", tls=tls)
        async with Link(broker) as link:
            await link.subscribe(["a"])
            await link.publish("a", b"x" * 100_000)
            assert len((await _take(link, 1))[0].payload) == 100_000
        with pytest.raises(LinkRefused, match=r"is not trusted .* give its CA as ca_file"):
            async with Link(replace(broker, tls=tls_context(None, files["client.pem"], files["client.key"]))):
                pass
        with pytest.raises(LinkDown, match="it may ask for a client certificate"):
            async with Link(replace(broker, tls=tls_context(files["ca.pem"], None, None))):
                pass
    with pytest.raises(OSError, match=r"PEM|key|CERT|SSL"):
        tls_context(files["ca.pem"], files["client.pem"], files["server.key"])


async def test_a_broker_that_saves_keeps_our_session_over_its_own_death(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker", DURABLE) as mosquitto:
        broker = Broker(host="127.0.0.1", port=mosquitto.port, client_id="gateway")
        async with Link(broker) as link:
            await link.subscribe(["jobs/#"])
        async with Link(replace(broker, client_id="sender")) as link:
            await link.publish("jobs/a", b"kept")
            await link.publish("other", b"")
        mosquitto.kill()
        mosquitto.start()
        async with Link(broker) as link:
            assert link.is_resumed
            assert [message.payload for message in await _take(link, 1)] == [b"kept"]


def _certificates(directory: Path) -> None:
    """An authority, and what it signed for a server on 127.0.0.1 and for a client."""

    def run(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=directory)

    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    run("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign")  # fmt: skip
    for name in ("server", "client"):
        run("req", "-x509", *new, "-CA", "ca.pem", "-CAkey", "ca.key", "-keyout", f"{name}.key", "-out", f"{name}.pem",
            "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
            "-addext", "basicConstraints=critical,CA:false")  # fmt: skip
