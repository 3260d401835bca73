# Messages by paho.mqtt.publish, as `az iot device send-d2c-message` sends them: paho_publish.py CONFIGURATION
# {"host", "ca", "id", "username", "password", "topic", "payloads", "qos"}
import json
import ssl
import sys

import paho.mqtt.client as mqtt
import paho.mqtt.publish as publish

c = json.loads(sys.argv[1])
publish.multiple(
    [{"topic": c["topic"], "payload": text, "qos": c["qos"]} for text in c["payloads"]],
    hostname=c["host"], port=8883, client_id=c["id"], protocol=mqtt.MQTTv311,
    auth={"username": c["username"], "password": c["password"]},
    tls={"ca_certs": c["ca"], "tls_version": ssl.PROTOCOL_TLS_CLIENT})
