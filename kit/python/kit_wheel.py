"""Makes the wheel, for pip (PEP 517): one module needs no build system, and so pip needs no network."""
import base64
import hashlib
import pathlib
import zipfile

HERE = pathlib.Path(__file__).parent
NAME, VERSION = "twinhub_kit", "0.1.0"
INFO = f"{NAME}-{VERSION}.dist-info"


def _entry(name, data):
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}\n"


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    files = {
        f"{NAME}.py": (HERE / f"{NAME}.py").read_bytes(),
        f"{INFO}/METADATA": f"Metadata-Version: 2.1\nName: twinhub-kit\nVersion: {VERSION}\nLicense: MIT\nRequires-Python: >=3.9\n".encode(),
        f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nGenerator: twinhub-kit\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{INFO}/entry_points.txt": b"[pytest11]\ntwinhub = twinhub_kit\n",
        f"{INFO}/LICENSE": (HERE / "LICENSE").read_bytes(),
    }
    record = "".join(_entry(name, data) for name, data in files.items()) + f"{INFO}/RECORD,,\n"
    wheel = f"{NAME}-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(wheel_directory) / wheel, "w") as archive:
        for name, data in {**files, f"{INFO}/RECORD": record.encode()}.items():
            archive.writestr(name, data)
    return wheel
