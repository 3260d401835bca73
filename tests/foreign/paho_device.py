# A device on Debian's paho-mqtt: it says on standard output, a JSON value a line, what it hears, and does what it is told on
# standard input, a JSON array a line: [method, argument, ...].
#
#   paho_device.py CONFIGURATION   {"host", "port", "ca", "transport", "id", "username", "password", "cert", "key"}
import json
import ssl
import sys

import paho.mqtt.client as mqtt


def say(kind, **more):
    print(json.dumps({"kind": kind, **more}), flush=True)


def device_of(c):
    client = mqtt.Client(client_id=c["id"], clean_session=c.get("clean", True), protocol=mqtt.MQTTv311, transport=c["transport"])
    if c["transport"] == "websockets":
        client.ws_set_options(path="/$iothub/websocket")
    client.username_pw_set(c["username"], c.get("password"))
    client.tls_set(ca_certs=c["ca"], certfile=c.get("cert"), keyfile=c.get("key"), cert_reqs=ssl.CERT_REQUIRED)
    client.on_connect = lambda cl, user, flags, code: say("connect", code=code, session=flags["session present"])
    client.on_disconnect = lambda cl, user, code: say("disconnect", code=code)
    client.on_subscribe = lambda cl, user, mid, granted: say("granted", qos=list(granted))
    client.on_publish = lambda cl, user, mid: say("sent", mid=mid)
    client.on_message = lambda cl, user, m: say("message", topic=m.topic, qos=m.qos, payload=m.payload.decode("utf-8"))
    client.reconnect_delay_set(min_delay=1, max_delay=1)
    return client


def main():
    c = json.loads(sys.argv[1])
    client = device_of(c)
    client.connect(c["host"], c["port"], keepalive=30)
    client.loop_start()
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        if name == "subscribe":
            client.subscribe([tuple(a) for a in arguments])
        elif name == "publish":
            client.publish(*arguments)
        elif name == "disconnect":
            client.disconnect()
    client.loop_stop()


main()
