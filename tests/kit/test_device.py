import json
import queue
import ssl

import paho.mqtt.client as mqtt
import pytest

from twinhub_kit import Hub, HubError, sas_token

API = "2021-04-12"


class Device:
    """A device with paho: its twin, over MQTT as Azure's."""

    def __init__(self, hub, device):
        self.answers = queue.Queue()
        self.client = mqtt.Client(device.device_id, protocol=mqtt.MQTTv311)
        self.client.username_pw_set(f"{hub.host_name}/{device.device_id}/?api-version={API}",
                                    sas_token(f"{hub.host_name}/devices/{device.device_id}", device.primary_key))
        self.client.tls_set(hub.ca, tls_version=ssl.PROTOCOL_TLS_CLIENT)
        self.client.on_message = lambda client, data, message: self.answers.put((message.topic, message.payload))
        self.client.on_subscribe = lambda *_: self.answers.put(("subscribed", b""))
        self.client.connect(hub.address, hub.mqtts_port)
        self.client.loop_start()
        self.client.subscribe([("$iothub/twin/res/#", 0), ("$iothub/twin/PATCH/properties/desired/#", 0)])
        assert self.next()[0] == "subscribed"

    def next(self):
        return self.answers.get(timeout=20)

    def report(self, properties):
        self.client.publish("$iothub/twin/PATCH/properties/reported/?$rid=1", json.dumps(properties), qos=1)
        assert self.next()[0].startswith("$iothub/twin/res/204/")

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def test_device_and_back_end(twinhub):
    device = Device(twinhub, twinhub.create_device("d1"))
    device.report({"firmware": "1.2"})
    assert twinhub.get_twin("d1")["properties"]["reported"]["firmware"] == "1.2"
    twinhub.update_twin("d1", {"properties": {"desired": {"interval": "5m"}}})
    topic, payload = device.next()
    assert topic.startswith("$iothub/twin/PATCH/properties/desired/") and json.loads(payload)["interval"] == "5m"
    device.close()


def test_same_hub_for_the_session(twinhub):
    assert twinhub.get_twin("d1")["properties"]["desired"]["interval"] == "5m"
    assert twinhub.get_twin("seeded")["tags"] == {"floor": 3}


def test_hub_of_its_own(twinhub, fresh_twinhub):
    assert fresh_twinhub.address != twinhub.address
    with pytest.raises(HubError) as refused:
        fresh_twinhub.get_twin("d1")
    assert refused.value.status == 404 and "DeviceNotFound" in str(refused.value)
    assert fresh_twinhub.device("seeded").connection_string.startswith(f"HostName={fresh_twinhub.host_name};DeviceId=seeded;SharedAccessKey=")


def test_without_fixture():
    with Hub.start(seed=[{"id": "a", "tags": {"x": 1}}], ports="any") as hub:
        module = hub.create_module("a", "m")
        assert ";DeviceId=a;ModuleId=m;SharedAccessKey=" in module.connection_string
        assert hub.https_port != 443
    hub.stop()


def test_no_hub(monkeypatch, tmp_path):
    with pytest.raises(HubError, match=r"(?s)has not started \(exit code 1\).*line 1: device a: .*tag is no member"):
        Hub.start(seed=[{"id": "a", "tag": 1}])
    with pytest.raises(HubError, match="not ready in 0.001 s"):
        Hub.start(timeout=0.001)
    monkeypatch.setenv("TWINHUB_BIN", "/nowhere/twinhub")
    with pytest.raises(HubError, match="TWINHUB_BIN is /nowhere/twinhub, which is no program"):
        Hub.start()
    monkeypatch.setenv("TWINHUB_BIN", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HubError, match="no program twinhub in PATH"):
        Hub.start()


def test_time(fresh_twinhub):
    before = fresh_twinhub.request("GET", "/admin/clock")
    after = fresh_twinhub.advance_clock("P1D")
    assert (before["aheadSeconds"], after["aheadSeconds"]) == (0, 86400) and after["now"] > before["now"]


def test_faults(fresh_twinhub):
    fresh_twinhub.add_fault("unavailable", device="seeded", count=2)
    for _ in range(2):
        with pytest.raises(HubError) as refused:
            fresh_twinhub.get_twin("seeded")
        assert refused.value.status == 503
    assert fresh_twinhub.get_twin("seeded")["tags"] == {"floor": 3}
    fresh_twinhub.add_fault("dropLink")
    assert [one["fault"] for one in fresh_twinhub.faults()] == ["dropLink"]
    fresh_twinhub.clear_faults()
    assert fresh_twinhub.faults() == []
