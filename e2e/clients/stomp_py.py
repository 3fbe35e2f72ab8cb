"""Exercises a broker with stomp.py.

Arguments: PORT TLS_PORT USER PASSWORD CA_FILE. Prints a line per step; the first failure ends it.
"""

import queue
import ssl
import sys
import time
import traceback

import stomp

PORT, TLS_PORT, USER, PASSWORD, CA_FILE = sys.argv[1:6]
WAIT = 20
HEART_BEAT_MS = 1000


class Listener(stomp.ConnectionListener):
    """Puts whatever arrives into a queue."""

    def __init__(self):
        self.frames = queue.Queue()
        self.heart_beats = 0
        self.late = 0

    def on_message(self, frame):
        self.frames.put(("MESSAGE", frame.headers, frame.body))

    def on_error(self, frame):
        self.frames.put(("ERROR", frame.headers, frame.body))

    def on_receipt(self, frame):
        self.frames.put(("RECEIPT", frame.headers, frame.body))

    def on_heartbeat(self):
        self.heart_beats += 1

    def on_heartbeat_timeout(self):
        self.late += 1


class Client:
    """One connection of one version."""

    def __init__(self, version, tls=False, client_id=None, **options):
        kind = {
            "1.0": stomp.StompConnection10,
            "1.1": stomp.StompConnection11,
            "1.2": stomp.StompConnection12,
        }
        address = ("localhost", int(TLS_PORT if tls else PORT))
        self.version = version
        self.connection = kind[version]([address], reconnect_attempts_max=1, **options)
        if tls:
            self.connection.set_ssl(
                [address], ca_certs=CA_FILE, ssl_version=ssl.PROTOCOL_TLS_CLIENT
            )
        self.listener = Listener()
        self.connection.set_listener("test", self.listener)
        headers = {"client-id": client_id} if client_id else {}
        self.connection.connect(USER, PASSWORD, wait=True, headers=headers)

    def frame(self, command):
        seen, headers, body = self.listener.frames.get(timeout=WAIT)
        assert seen == command, f"expected {command}, got {seen} {headers} {body}"
        return headers, body

    def subscribe(self, destination, ack="auto", **headers):
        headers["receipt"] = "subscribed"
        self.connection.subscribe(destination, id="one", ack=ack, headers=headers)
        headers, _ = self.frame("RECEIPT")
        assert headers["receipt-id"] == "subscribed", headers

    def acknowledge(self, headers, command="ack"):
        call = getattr(self.connection, command)
        if self.version == "1.2":
            call(headers["ack"])
        elif self.version == "1.1":
            call(headers["message-id"], "one")
        else:
            call(headers["message-id"])

    def send(self, destination, body, **headers):
        self.connection.send(destination, body, **headers)

    def leave(self):
        """The receipt of DISCONNECT: everything before it was processed."""
        self.connection.disconnect(receipt="bye")
        headers, _ = self.frame("RECEIPT")
        assert headers["receipt-id"] == "bye", headers


def name(version, what):
    return f"/queue/mcollective.py.{version.replace('.', '_')}.{what}"


def topic(version):
    client = Client(version)
    destination = f"/topic/mcollective.py.{version.replace('.', '_')}"
    client.subscribe(destination)
    client.send(destination, "grüße", headers={"colour": "red", "odd": "a:b"})
    headers, body = client.frame("MESSAGE")
    assert body == "grüße", body
    assert headers["colour"] == "red", headers
    if version != "1.0":
        assert headers["odd"] == "a:b", headers
    client.leave()


def receipt(version):
    client = Client(version)
    client.send(name(version, "receipt"), "x", headers={"receipt": "r-17"})
    headers, _ = client.frame("RECEIPT")
    assert headers["receipt-id"] == "r-17", headers
    client.leave()


def ack_mode(mode, expected):
    def step(version):
        destination = name(version, mode)
        client = Client(version)
        client.subscribe(destination, mode)
        for body in ("one", "two", "three"):
            client.send(destination, body)
        frames = [client.frame("MESSAGE") for _ in range(3)]
        assert [body for _, body in frames] == ["one", "two", "three"], frames
        if mode != "auto":
            client.acknowledge(frames[1][0])
        client.leave()
        again = Client(version)
        again.subscribe(destination)
        again.send(destination, "end")
        bodies = []
        while "end" not in bodies:
            bodies.append(again.frame("MESSAGE")[1])
        again.leave()
        assert bodies[:-1] == expected, bodies

    return step


def transaction(version):
    client = Client(version)
    destination = name(version, "transaction")
    client.subscribe(destination)
    dropped = client.connection.begin()
    client.send(destination, "never", headers={"transaction": dropped})
    client.connection.abort(dropped)
    kept = client.connection.begin()
    client.send(destination, "in transaction", headers={"transaction": kept})
    client.send(destination, "before commit")
    assert client.frame("MESSAGE")[1] == "before commit"
    client.connection.commit(kept)
    assert client.frame("MESSAGE")[1] == "in transaction"
    client.leave()


def denied(version):
    client = Client(version)
    client.send("/queue/secret", "x")
    headers, body = client.frame("ERROR")
    assert "not authorized" in f"{headers} {body}", (headers, body)
    client.leave()


def durable(version):
    who = f"py-{version}"
    destination = f"/topic/mcollective.py.durable.{version.replace('.', '_')}"
    name_header = {"activemq.subscriptionName": "d"}
    first = Client(version, client_id=who)
    first.subscribe(destination, **name_header)
    first.leave()
    sender = Client(version)
    sender.send(destination, "while away", headers={"receipt": "taken"})
    sender.frame("RECEIPT")
    sender.leave()
    again = Client(version, client_id=who)
    again.subscribe(destination, "client-individual", **name_header)
    headers, body = again.frame("MESSAGE")
    assert body == "while away", body
    again.acknowledge(headers)
    again.connection.unsubscribe(id="one", headers=name_header | {"receipt": "deleted"})
    headers, _ = again.frame("RECEIPT")
    assert headers["receipt-id"] == "deleted", headers
    again.leave()


def over_tls(version):
    client = Client(version, tls=True)
    client.send(name(version, "receipt"), "x", headers={"receipt": "over tls"})
    client.frame("RECEIPT")
    client.leave()


def nack(version):
    client = Client(version)
    destination = name(version, "nack")
    client.subscribe(destination, "client-individual")
    client.send(destination, "refused")
    client.acknowledge(client.frame("MESSAGE")[0], "nack")
    client.leave()
    again = Client(version)
    again.subscribe(destination)
    again.send(destination, "end")
    assert again.frame("MESSAGE")[1] == "end"
    again.leave()


def heart_beat(version):
    client = Client(version, heartbeats=(HEART_BEAT_MS, HEART_BEAT_MS))
    time.sleep(4 * HEART_BEAT_MS / 1000)
    assert client.listener.heart_beats >= 2, f"{client.listener.heart_beats} heart-beats"
    assert client.listener.late == 0, "a heart-beat was late"
    client.send(name(version, "receipt"), "x", headers={"receipt": "alive"})
    client.frame("RECEIPT")
    client.leave()


STEPS = {
    "publish and subscribe to a topic": topic,
    "receipt": receipt,
    "ack auto": ack_mode("auto", []),
    "ack client": ack_mode("client", ["three"]),
    "ack client-individual": ack_mode("client-individual", ["one", "three"]),
    "transaction": transaction,
    "denied destination": denied,
    "TLS": over_tls,
    "durable subscription": durable,
}
STEPS_FROM_1_1 = {"nack": nack, "heart-beat": heart_beat}


def main():
    for version in ("1.0", "1.1", "1.2"):
        steps = STEPS if version == "1.0" else STEPS | STEPS_FROM_1_1
        for step, run in steps.items():
            try:
                run(version)
            except BaseException as error:
                traceback.print_exc()
                sys.exit(f"FAILED {version} {step}: {type(error).__name__}: {error}")
            print(f"ok {version} {step}", flush=True)
    print("all done")


main()
