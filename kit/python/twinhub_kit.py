"""A hub for tests: twinhub, started for them and gone with them. Python's standard library and the program `twinhub`, nothing else.

With pytest (as a plugin it is found by itself when it is installed, else: pytest -p twinhub_kit):

    def test_twin(twinhub):
        device = twinhub.create_device("sensor-1")
        ...                                            # device.connection_string, twinhub.ca
        assert twinhub.get_twin("sensor-1")["properties"]["reported"]["firmware"] == "1.2"

Without: `with Hub.start(seed=[...]) as hub: ...`
"""
import base64
import collections
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import shutil
import ssl
import subprocess
import tempfile
import threading
import time
from urllib.parse import quote

__all__ = ["Hub", "HubError", "Identity", "find_program", "sas_token"]

API_VERSION = "2021-04-12"
READY_S = 60
STOP_S = 10
REQUEST_S = 60
LOG_LINES = 1000

Identity = collections.namedtuple("Identity", "device_id module_id primary_key connection_string")


class HubError(Exception):
    """There is no hub, or it has refused a request: then `status` is its status and `body` its answer."""

    def __init__(self, text, status=None, body=None):
        super().__init__(text)
        self.status = status
        self.body = body


def find_program(env=None):
    """TWINHUB_BIN, else the first twinhub in PATH. Raises HubError."""
    env = os.environ if env is None else env
    named = env.get("TWINHUB_BIN")
    if named:
        if os.path.isfile(named) and os.access(named, os.X_OK):
            return os.path.abspath(named)
        raise HubError(f"TWINHUB_BIN is {named}, which is no program")
    found = shutil.which("twinhub", path=env.get("PATH", ""))
    if found:
        return found
    raise HubError("no program twinhub in PATH: install it, or set TWINHUB_BIN to where it is")


def sas_token(resource, key, policy=None, ttl=3600, now=None):
    """A shared access signature, as a device's password or in a request's Authorization."""
    sr, se = quote(resource, safe=""), int((time.time() if now is None else now) + ttl)
    digest = hmac.new(base64.b64decode(key), f"{sr}\n{se}".encode(), hashlib.sha256).digest()
    token = f"SharedAccessSignature sr={sr}&sig={quote(base64.b64encode(digest), safe='')}&se={se}"
    return f"{token}&skn={policy}" if policy else token


def _part(connection_string, name):
    for part in connection_string.split(";"):
        if part.startswith(name + "="):
            return part[len(name) + 1:]
    return None


class Hub:
    """A hub that runs. Hub.start() makes one; stop(), or the end of `with`, ends it."""

    def __init__(self, ready, process, log, reader):
        self.host_name = ready["hostName"]
        self.address = ready["address"]
        self.https_port = ready["httpsPort"]
        self.mqtts_port = ready["mqttsPort"]
        self.data = ready["data"]
        self.ca = ready["ca"]  # a file
        self.connection_strings = ready["connectionStrings"]  # by policy
        self.connection_string = self.connection_strings["iothubowner"]
        self._key = _part(self.connection_string, "SharedAccessKey")
        self.ssl_context = ssl.create_default_context(cafile=self.ca)
        self._process = process
        self._log = log
        self._reader = reader

    # ---- begin and end ----

    @classmethod
    def start(cls, seed=None, ports=None, args=(), timeout=READY_S):
        """seed: a file, or a list of its lines as dictionaries. ports: "any". args: more options of `twinhub serve`."""
        argv = [find_program(), "serve", "--ephemeral", "--clock", *(["--ports", ports] if ports else []), *args]
        with contextlib.ExitStack() as stack:
            if seed is not None and not isinstance(seed, (str, os.PathLike)):
                file = stack.enter_context(tempfile.NamedTemporaryFile("w", prefix="twinhub-seed-", suffix=".ndjson", encoding="utf-8"))
                file.writelines(json.dumps(line) + "\n" for line in seed)
                file.flush()
                seed = file.name
            if seed is not None:
                argv += ["--seed", os.fspath(seed)]
            return cls._started(argv, timeout)

    @classmethod
    def _started(cls, argv, timeout):
        # A session of its own: Ctrl-C in a terminal is for the tests, and the hub ends with them.
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", errors="replace", start_new_session=True)
        log = collections.deque(maxlen=LOG_LINES)
        reader = threading.Thread(target=log.extend, args=(process.stderr,), daemon=True)
        reader.start()
        late = threading.Timer(timeout, process.kill)
        late.daemon = True
        late.start()
        line = process.stdout.readline()
        in_time = late.is_alive()
        late.cancel()
        if line.endswith("\n"):
            return cls(json.loads(line), process, log, reader)
        code = process.wait()
        reader.join(STOP_S)
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()
        why = f"has not started (exit code {code})" if in_time else f"was not ready in {timeout} s"
        raise HubError(f"the hub {why}\n{''.join(log)}".rstrip())

    def stop(self):
        """End the hub; what it had is removed."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.stdin.close()
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            shutil.rmtree(self.data, ignore_errors=True)  # it could not do so itself
        self._reader.join(STOP_S)
        process.stdout.close()
        process.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def log(self):
        """What the hub has logged last."""
        return "".join(list(self._log))

    # ---- the service API ----

    def request(self, method, path, body=None, headers=None):
        """The body of the answer, parsed if it is JSON; raises HubError when it is none of success."""
        target = f"{path}{'&' if '?' in path else '?'}api-version={API_VERSION}"
        head = {"Authorization": sas_token(self.host_name, self._key, "iothubowner"), **(headers or {})}
        payload = None
        if body is not None:
            payload = json.dumps(body).encode()
            head["Content-Type"] = "application/json"
        link = http.client.HTTPSConnection(self.address, self.https_port, context=self.ssl_context, timeout=REQUEST_S)
        try:
            link.request(method, target, payload, head)
            answer = link.getresponse()
            text = answer.read().decode()
        finally:
            link.close()
        known = json.loads(text) if text and "json" in answer.headers.get("Content-Type", "") else text
        if answer.status < 300:
            return known
        said = known.get("Message", text) if isinstance(known, dict) else text
        raise HubError(f"{method} {path}: {answer.status} {said}", answer.status, known)

    def _identity(self, shown):
        device, module = shown["deviceId"], shown.get("moduleId")
        key = ((shown.get("authentication") or {}).get("symmetricKey") or {}).get("primaryKey")
        who = f"HostName={self.host_name};DeviceId={device}" + (f";ModuleId={module}" if module else "")
        return Identity(device, module, key, f"{who};SharedAccessKey={key}" if key else f"{who};x509=true")

    def create_device(self, device_id, **identity):
        """What else an identity has: status=..., authentication=..., capabilities=..."""
        return self._identity(self.request("PUT", f"/devices/{quote(device_id, safe='')}", {**identity, "deviceId": device_id}))

    def create_module(self, device_id, module_id, **identity):
        path = f"/devices/{quote(device_id, safe='')}/modules/{quote(module_id, safe='')}"
        return self._identity(self.request("PUT", path, {**identity, "deviceId": device_id, "moduleId": module_id}))

    def device(self, device_id):
        """One that is there, of a seed for example."""
        return self._identity(self.request("GET", f"/devices/{quote(device_id, safe='')}"))

    def advance_clock(self, by):
        """Put the hub's clock ahead: "PT2H", or seconds."""
        return self.request("POST", "/admin/clock", {"advance": by})

    def add_fault(self, fault, **more):
        """What is to go wrong: add_fault("dropLink", count=2, device="d1")."""
        return self.request("POST", "/admin/faults", {"fault": fault, **more})

    def faults(self):
        """What is left of the orders."""
        return self.request("GET", "/admin/faults")

    def clear_faults(self):
        self.request("DELETE", "/admin/faults")

    def get_twin(self, device_id):
        return self.request("GET", f"/twins/{quote(device_id, safe='')}")

    def update_twin(self, device_id, patch):
        return self.request("PATCH", f"/twins/{quote(device_id, safe='')}", patch)


# ---- pytest ----

try:
    import pytest
except ImportError:
    pass
else:

    def pytest_addoption(parser):
        group = parser.getgroup("twinhub")
        group.addoption("--twinhub-seed", metavar="FILE", help="devices, modules, twins and configurations that the hub begins with")

    @pytest.fixture(scope="session")
    def twinhub(request):
        """One hub for the session; tests take devices of their own in it."""
        with Hub.start(seed=request.config.getoption("--twinhub-seed")) as hub:
            yield hub

    @pytest.fixture
    def fresh_twinhub(request):
        """A hub for this test alone: one that is to change what all would see."""
        with Hub.start(seed=request.config.getoption("--twinhub-seed")) as hub:
            yield hub
